<#
.SYNOPSIS
Runs scripts one after the other in one PowerShell: a JSON object a line comes in, one goes out.

.DESCRIPTION
In: script, environment (name to value), arguments (name to value), before (a command that is run first).
Out: output (what the script handed back), text (what it told people), error (why it ended, or null), slept (seconds).
Start-Sleep is counted and not slept. What a script leaves in the session is removed before the next.
#>
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
function global:Start-Sleep { param([double] $Seconds) $global:slept += $Seconds }

while ($null -ne ($line = [Console]::In.ReadLine())) {
    $case = ConvertFrom-Json $line -AsHashtable
    $global:slept = 0
    $kept = @{}
    foreach ($name in $case.environment.Keys) {
        $kept[$name] = [Environment]::GetEnvironmentVariable($name)
        [Environment]::SetEnvironmentVariable($name, $case.environment[$name])
    }
    Remove-Module -Name 'DoubleTake.PowerShell' -Force -ErrorAction Ignore
    $answer = @{ output = @(); text = @(); error = $null }
    try {
        $arguments = $case.arguments
        & {
            if ($case.before) { Invoke-Expression $case.before }
            & $case.script @arguments
        } *>&1 | ForEach-Object {
            $told = $_ -is [System.Management.Automation.InformationRecord] -or $_ -is [System.Management.Automation.WarningRecord] -or
                $_ -is [System.Management.Automation.ErrorRecord]
            if ($told) { $answer.text += "$_" } else { $answer.output += "$_" }
        }
    }
    catch { $answer.error = "$_" }
    foreach ($name in $kept.Keys) { [Environment]::SetEnvironmentVariable($name, $kept[$name]) }
    $answer.slept = $global:slept
    [Console]::Out.WriteLine((ConvertTo-Json $answer -Compress -Depth 4))
}
