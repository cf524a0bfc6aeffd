# Turns the Double-Take job round, so that the recovery site protects itself towards the primary. Contract: see status.ps1.
# Not tried against a real Double-Take installation: check the property names against your version before relying on it.
$ErrorActionPreference = 'Stop'
Import-Module DoubleTake.PowerShell
$server = New-DtServer -Name 'localhost'
$job = Get-DtJob -ServiceHost $server | Select-Object -First 1
Invoke-DtReverseJob -ServiceHost $server -JobId $job.Id
@{
    state            = 'mirroring'
    frozen           = $false
    queue_bytes      = 0
    replicated_until = (Get-Date).ToUniversalTime().ToString('o')
    message          = 'Reversing'
} | ConvertTo-Json -Compress
