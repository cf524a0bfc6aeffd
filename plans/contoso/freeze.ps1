# Pauses the Double-Take target, so that data and log disks agree in time, and says how the replica is.
# A replica that is mirroring is not paused. Pausing twice changes nothing. Contract: see status.ps1.
# Not tried against a real Double-Take installation: check the property names against your version before relying on it.
$ErrorActionPreference = 'Stop'
Import-Module DoubleTake.PowerShell
$server = New-DtServer -Name 'localhost'
$job = Get-DtJob -ServiceHost $server | Select-Object -First 1
$mirroring = $job.Statistics.CoreConnectionDetails.MirrorState -notin @('Idle', 'Complete')
if (-not $mirroring) { Suspend-DtTarget -ServiceHost $server -JobId $job.Id }
@{
    state            = if ($mirroring) { 'mirroring' } else { 'good' }
    frozen           = -not $mirroring
    queue_bytes      = [long]$job.Statistics.CoreConnectionDetails.TargetQueueBytes
    replicated_until = (Get-Date).ToUniversalTime().ToString('o')
    message          = [string]$job.Status.HighLevelState
} | ConvertTo-Json -Compress
