#Requires -Version 5.1
# A thin layer over Coldsite's HTTP API: objects in, objects out. docs/powershell.md shows how to use it.
Set-StrictMode -Version Latest
$script:Target = $null

function Connect-Coldsite {
    <#
    .SYNOPSIS
    Remembers which Coldsite the other commands call, for this session.
    .DESCRIPTION
    With -App the account of the Azure CLI signs in (az login). With -Key a function key is used, where sign-in is off.
    Without -Url the environment variables COLDSITE_URL, COLDSITE_APP and COLDSITE_KEY are read.
    .PARAMETER Url
    Coldsite's address: azd env get-value COLDSITE_URL prints it.
    .PARAMETER App
    The client id of Coldsite's app registration: azd env get-value COLDSITE_APP prints it.
    .PARAMETER Key
    A function key. It is kept in memory only.
    .EXAMPLE
    Connect-Coldsite -Url https://func-coldsite-abc.azurewebsites.net -App 00000000-0000-0000-0000-000000000000
    #>
    [CmdletBinding()]
    param([string] $Url = $env:COLDSITE_URL, [string] $App = $env:COLDSITE_APP, [string] $Key = $env:COLDSITE_KEY)
    if (-not $Url) { throw 'Name the address: Connect-Coldsite -Url https://... (azd env get-value COLDSITE_URL prints it).' }
    if ($Url -notmatch '^(https://|http://(127(\.\d{1,3}){3}|localhost)(:\d+)?/?$)') { throw "$Url is not https, so your credentials could be intercepted." }
    $script:Target = @{ Url = $Url.TrimEnd('/'); App = $App; Key = $Key }
}

function Invoke-Coldsite {
    # One call. A refusal is an error whose message is the API's own sentence.
    param([string] $Method, [string] $Path, [hashtable] $Body)
    if (-not $script:Target) { Connect-Coldsite }
    $headers = @{}
    if ($script:Target.App) {
        $token = az account get-access-token --resource "api://$($script:Target.App)" --query accessToken --output tsv
        if (-not $token) { throw 'The Azure CLI has no token for Coldsite. Sign in: az login' }
        $headers['Authorization'] = "Bearer $token"
    }
    elseif ($script:Target.Key) { $headers['x-functions-key'] = $script:Target.Key }
    $call = @{ Method = $Method; Uri = "$($script:Target.Url)/api/$Path"; Headers = $headers; ContentType = 'application/json' }
    if ($Body) { $call['Body'] = [Text.Encoding]::UTF8.GetBytes((ConvertTo-Json $Body -Depth 5)) }
    try { Invoke-RestMethod @call }
    catch {
        $detail = try { (ConvertFrom-Json $_.ErrorDetails.Message).detail } catch { $null }
        if ($detail) { throw $detail } else { throw }
    }
}

function Get-ColdsitePlan {
    <#
    .SYNOPSIS
    The status of every plan, or of one with its recent events.
    .EXAMPLE
    Get-ColdsitePlan | Format-Table name, active_site, mode
    #>
    [CmdletBinding()]
    param([string] $Name)
    if ($Name) { Invoke-Coldsite GET "plans/$([uri]::EscapeDataString($Name))" }
    else { (Invoke-Coldsite GET 'plans').plans }
}

function Get-ColdsiteReadiness {
    <#
    .SYNOPSIS
    What would go wrong in a failover of a plan, with why it matters and how to fix it.
    .EXAMPLE
    (Get-ColdsiteReadiness contoso).findings | Where-Object severity -eq blocker
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Plan)
    Invoke-Coldsite GET "plans/$([uri]::EscapeDataString($Plan))/readiness"
}

function Get-ColdsiteRun {
    <#
    .SYNOPSIS
    Runs, newest first; or one run with its steps.
    .EXAMPLE
    Get-ColdsiteRun -Plan contoso -Kind drill | Select-Object -First 1
    #>
    [CmdletBinding(DefaultParameterSetName = 'List')]
    param(
        [Parameter(ParameterSetName = 'One', Mandatory, Position = 0, ValueFromPipelineByPropertyName)] [Alias('run_id')] [string] $Id,
        [Parameter(ParameterSetName = 'List')] [string] $Plan,
        [Parameter(ParameterSetName = 'List')] [ValidateSet('failover', 'drill', 'failback')] [string] $Kind,
        [Parameter(ParameterSetName = 'List')] [ValidateRange(1, 200)] [int] $Limit = 20
    )
    process {
        if ($Id) { return Invoke-Coldsite GET "runs/$([uri]::EscapeDataString($Id))" }
        $query = "runs?limit=$Limit"
        if ($Plan) { $query += "&plan=$([uri]::EscapeDataString($Plan))" }
        if ($Kind) { $query += "&kind=$Kind" }
        (Invoke-Coldsite GET $query).runs
    }
}

function Start-Run {
    # -WhatIf returns the forecast; anything else asks first, unless -Confirm:$false is given.
    param($Cmdlet, [string] $Plan, [string] $Kind, [hashtable] $Body)
    $path = "plans/$([uri]::EscapeDataString($Plan))/$Kind"
    if ($Cmdlet.ShouldProcess($Plan, "Start a $Kind")) { return Invoke-Coldsite POST $path $Body }
    if ($WhatIfPreference) { Invoke-Coldsite POST "${path}?what_if=true" $Body }
}

function Start-ColdsiteFailover {
    <#
    .SYNOPSIS
    Fails a plan over to Azure. With -WhatIf it returns the forecast and starts nothing.
    .PARAMETER Planned
    Lose nothing: the primary's writes are stopped first. The plan needs a fence.
    .PARAMETER PrimaryIsHealthy
    Fail over although the primary is serving; its unreplicated changes are lost.
    .PARAMETER RecoveryPoint
    latest, latest_good, the id of a set, or before:TIME.
    .PARAMETER Workload
    While customers are in Azure: build these again there. Without it, those that fail.
    .EXAMPLE
    Start-ColdsiteFailover contoso -Reason 'The cellar is flooded' -WhatIf
    #>
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
    param(
        [Parameter(Mandatory)] [string] $Plan, [Parameter(Mandatory)] [string] $Reason,
        [switch] $Planned, [switch] $PrimaryIsHealthy, [string] $RecoveryPoint = 'latest', [string[]] $Workload = @()
    )
    $mode = if ($Planned) { 'planned' } else { 'unplanned' }
    Start-Run $PSCmdlet $Plan 'failover' @{
        mode = $mode; acknowledge_primary_healthy = [bool] $PrimaryIsHealthy; recovery_point = $RecoveryPoint; reason = $Reason
        workloads = @($Workload)
    }
}

function Start-ColdsiteDrill {
    <#
    .SYNOPSIS
    Runs a drill: everything is built in the isolated network, verified and deleted. Customers are not touched.
    .EXAMPLE
    Start-ColdsiteDrill contoso -Confirm:$false
    #>
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'Medium')]
    param([Parameter(Mandatory)] [string] $Plan, [string] $Reason = 'A drill')
    Start-Run $PSCmdlet $Plan 'drill' @{ reason = $Reason }
}

function Start-ColdsiteFailback {
    <#
    .SYNOPSIS
    Brings customers home. With -Rehearse it ends once home is ready; with -WhatIf it returns what was found.
    .EXAMPLE
    Start-ColdsiteFailback contoso -Reason 'Home is repaired'
    #>
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
    param([Parameter(Mandatory)] [string] $Plan, [Parameter(Mandatory)] [string] $Reason, [switch] $Rehearse)
    Start-Run $PSCmdlet $Plan 'failback' @{ rehearse = [bool] $Rehearse; reason = $Reason }
}

function Send-ColdsiteAnswer {
    <#
    .SYNOPSIS
    Answers a run: Approve, Reject, Proceed, Retry, Abort, Commit; or Acknowledge, which says that you are on it.
    .EXAMPLE
    Get-ColdsiteRun -Plan contoso -Limit 1 | Send-ColdsiteAnswer -Answer Approve -Reason 'Go'
    #>
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
    param(
        [Parameter(Mandatory, Position = 0, ValueFromPipelineByPropertyName)] [Alias('run_id')] [string] $Id,
        [Parameter(Mandatory)] [ValidateSet('Approve', 'Reject', 'Proceed', 'Retry', 'Abort', 'Commit', 'Acknowledge')] [string] $Answer,
        [string] $Reason = '',
        [Parameter(ValueFromPipelineByPropertyName)] [Alias('holds')] [int] $Question = -1
    )
    process {
        # The number of the question that was read: Coldsite refuses an answer to another one.
        $body = @{ reason = $Reason }
        if ($Question -ge 0) { $body['question'] = $Question }
        if ($PSCmdlet.ShouldProcess($Id, $Answer)) {
            Invoke-Coldsite POST "runs/$([uri]::EscapeDataString($Id))/$($Answer.ToLowerInvariant())" $body
        }
    }
}

Export-ModuleMember -Function Connect-Coldsite, Get-ColdsitePlan, Get-ColdsiteReadiness, Get-ColdsiteRun, Start-ColdsiteFailover, Start-ColdsiteDrill, Start-ColdsiteFailback, Send-ColdsiteAnswer
