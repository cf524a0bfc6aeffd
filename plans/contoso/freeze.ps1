# Pauses the Double-Take target, for all its jobs, so that every disk agrees in time, and says how the replica is.
# A replica that is mirroring is not paused. Pausing twice changes nothing. It waits until the pause is there.
# Contract: see status.ps1.
# Not tried against a real Double-Take installation: check the property names against your version before relying on it.
$ErrorActionPreference = 'Stop'
Import-Module DoubleTake.PowerShell
$server = New-DtServer -Name 'localhost'
$jobs = @(Get-DtJob -ServiceHost $server)
if (-not $jobs) { throw 'There is no Double-Take job on this machine.' }
$idle = @('Idle', 'Complete')
$protecting = @('Protecting', 'Paused', 'FailoverConditionMet')
$mirroring = @($jobs | Where-Object { $_.Statistics.CoreConnectionDetails.MirrorState -notin $idle })
if (-not $mirroring) {
    foreach ($job in $jobs) { Suspend-DtTarget -ServiceHost $server -JobId $job.Id }
    for ($try = 1; $try -le 30; $try++) {
        $jobs = @(Get-DtJob -ServiceHost $server)
        if (-not ($jobs | Where-Object { $_.Statistics.CoreConnectionDetails.TargetState -ne 'Paused' })) { break }
        Start-Sleep -Seconds 1
    }
}
$mirroring = @($jobs | Where-Object { $_.Statistics.CoreConnectionDetails.MirrorState -notin $idle })
$paused = @($jobs | Where-Object { $_.Statistics.CoreConnectionDetails.TargetState -eq 'Paused' })
$stopped = @($jobs | Where-Object { $_.Status.HighLevelState -notin $protecting })
$frozen = $paused.Count -eq $jobs.Count
$state = if ($mirroring) { 'mirroring' } elseif ($stopped -and -not $frozen) { 'stopped' } else { 'good' }
@{
    state            = $state
    frozen           = $frozen
    queue_bytes      = [long]($jobs | ForEach-Object { $_.Statistics.CoreConnectionDetails.TargetQueueBytes } | Measure-Object -Sum).Sum
    replicated_until = (Get-Date).ToUniversalTime().ToString('o')
    message          = [string](($jobs | ForEach-Object { $_.Status.HighLevelState } | Sort-Object -Unique) -join ', ')
} | ConvertTo-Json -Compress
