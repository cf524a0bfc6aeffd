# Lets the Double-Take target go on. Resuming what is not paused changes nothing. Contract: see status.ps1.
# Not tried against a real Double-Take installation: check the property names against your version before relying on it.
$ErrorActionPreference = 'Stop'
Import-Module DoubleTake.PowerShell
$server = New-DtServer -Name 'localhost'
$job = Get-DtJob -ServiceHost $server | Select-Object -First 1
Resume-DtTarget -ServiceHost $server -JobId $job.Id
@{
    state            = 'good'
    frozen           = $false
    queue_bytes      = [long]$job.Statistics.CoreConnectionDetails.TargetQueueBytes
    replicated_until = (Get-Date).ToUniversalTime().ToString('o')
    message          = [string]$job.Status.HighLevelState
} | ConvertTo-Json -Compress
