# Says how the Double-Take replica is. Contract: the last line of output is one JSON object with
# state (good | mirroring | stopped), frozen, queue_bytes, replicated_until (UTC, ISO 8601), message.
# Not tried against a real Double-Take installation: check the property names against your version before relying on it.
$ErrorActionPreference = 'Stop'
Import-Module DoubleTake.PowerShell
$server = New-DtServer -Name 'localhost'
$job = Get-DtJob -ServiceHost $server | Select-Object -First 1
$mirroring = $job.Statistics.CoreConnectionDetails.MirrorState -notin @('Idle', 'Complete')
$frozen = $job.Statistics.CoreConnectionDetails.TargetState -eq 'Paused'
$connected = $job.Status.HighLevelState -in @('Protecting', 'Paused', 'FailoverConditionMet')
$state = if ($mirroring) { 'mirroring' } elseif ($connected -or $frozen) { 'good' } else { 'stopped' }
@{
    state            = $state
    frozen           = $frozen
    queue_bytes      = [long]$job.Statistics.CoreConnectionDetails.TargetQueueBytes
    replicated_until = (Get-Date).ToUniversalTime().ToString('o')
    message          = [string]$job.Status.HighLevelState
} | ConvertTo-Json -Compress
