#Requires -Version 7.4
<#
.SYNOPSIS
Proves after a deployment that Coldsite rejects unauthenticated requests and runs one orchestration to its end.

.DESCRIPTION
azd runs this after it has deployed the app. It changes nothing. It reports each endpoint as closed, OPEN (an
unauthenticated request is accepted) or SILENT (no usable answer). It fails the deployment when an endpoint is open,
when the app is silent, and when the app does not prove that its durable engine works. Every wait is bounded: a request
by Patience, in seconds, an endpoint by six times that, the self-check by two minutes.
#>
[CmdletBinding()]
param([string] $Url = $env:COLDSITE_URL, [string] $App = $env:COLDSITE_APP, [int] $Patience = 20)

$ErrorActionPreference = 'Stop'
if (-not $Url) { throw 'COLDSITE_URL is not set. Let azd run this (azd deploy), or type: azd env get-values' }
$Url = $Url.TrimEnd('/')
$again = 'pwsh infra/hooks/check.ps1 -Url {0} -App {1}' -f $Url, ($App ? $App : '<client id>')
$tries = 20
$until = (Get-Date).AddSeconds(6 * $Patience)

function Send-Request([string] $method, [string] $path, [hashtable] $headers, [int] $seconds = $Patience) {
    # Without redirects: following one to a sign-in page would look like an open endpoint.
    try {
        $answer = Invoke-WebRequest -Uri "$Url$path" -Method $method -Headers $headers -Body ($method -eq 'POST' ? '{}' : $null) `
            -ContentType 'application/json' -SkipHttpErrorCheck -MaximumRedirection 0 -TimeoutSec $seconds -ErrorAction SilentlyContinue
        # Content whose type is not text, such as a problem document, is returned as bytes.
        $body = $answer.Content -is [byte[]] ? [Text.Encoding]::UTF8.GetString($answer.Content) : "$($answer.Content)"
        return @{ Status = [int] $answer.StatusCode; Body = $body }
    }
    catch { return @{ Status = 0; Body = "$($_.Exception.Message)" } }
}

function Test-Silent([int] $status) { $status -eq 0 -or $status -eq 404 -or $status -ge 500 }

function Get-Answer([string] $method, [string] $path, [hashtable] $headers) {
    # A new app takes a while to resolve and to answer.
    while ($true) {
        $answer = Send-Request $method $path $headers
        if (-not (Test-Silent $answer.Status)) { return $answer }
        $script:tries--
        if ($script:tries -le 0 -or (Get-Date) -gt $until) { return $answer }
        Start-Sleep -Seconds 6
    }
}

$forged = [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes(
        '{"auth_typ":"aad","claims":[{"typ":"oid","val":"stranger"},{"typ":"roles","val":"operator"}]}'))
$doors = @(
    @{ Method = 'GET'; Path = '/api/plans'; Headers = @{} },
    @{ Method = 'GET'; Path = '/api/plans'; Headers = @{ 'X-MS-CLIENT-PRINCIPAL' = $forged } },
    @{ Method = 'POST'; Path = '/api/alerts'; Headers = @{} },
    @{ Method = 'POST'; Path = '/api/alerts'; Headers = @{ Authorization = 'Bearer not.a.token' } }
)
$open = 0
foreach ($door in $doors) {
    $answer = Get-Answer $door.Method $door.Path $door.Headers
    $what = "$($door.Method) $($door.Path) $($door.Headers.Keys -join ', ')".TrimEnd()
    if (Test-Silent $answer.Status) {
        Write-Warning "SILENT  $what answered $($answer.Status ? $answer.Status : "nothing ($($answer.Body))")"
        throw "Coldsite does not work at $Url, and nothing is known of its doors. See its log: portal, the function app, Log stream. Then type: $again"
    }
    if ($answer.Status -eq 401) { Write-Host "closed  $what" }
    elseif ($answer.Status -ge 300 -and $answer.Status -lt 400) {
        throw "$what is redirected ($($answer.Status)) and not refused with 401, so neither Azure Monitor nor the command coldsite can come in. In the portal, the function app, Authentication, set unauthenticated requests to HTTP 401. Then type: $again"
    }
    # A request that is refused for a reason other than missing sign-in was accepted far enough to be read.
    else { $open++; Write-Warning "OPEN    $what answered $($answer.Status) instead of 401" }
}
if ($open) { throw "$open of $($doors.Count) doors are open. See docs/security.md before you go on." }
Write-Host 'Every endpoint rejects unauthenticated requests.'

# A web server that answers 401 to every request would pass up to here. Only Coldsite itself can run an orchestration.
if (-not $App) { throw "COLDSITE_APP is not set, so Coldsite cannot be asked whether it works. Type: $again" }
$token = $null
for ($try = 1; $try -le 4 -and -not $token; $try++) {
    # Microsoft Entra takes a while to apply a new role assignment.
    if ($try -gt 1) { Start-Sleep -Seconds 10 }
    $PSNativeCommandUseErrorActionPreference = $false
    $said = az account get-access-token --scope "api://$App/.default" --output json 2>&1
    # The answer contains the token, so only az's standard error may be shown.
    $complaint = "$($said | Where-Object { $_ -is [System.Management.Automation.ErrorRecord] } | Select-Object -First 1)"
    $answered = "$($said | Where-Object { $_ -isnot [System.Management.Automation.ErrorRecord] })"
    if ($LASTEXITCODE -eq 0) { $token = try { ($answered | ConvertFrom-Json).accessToken } catch { $null } }
}
if (-not $token) {
    throw "The doors are closed, and az has no token for Coldsite, so it is not proven that Coldsite works. Give yourself a role (docs/install.md, step 4), sign in with az login, then type: $again`naz said: $complaint"
}
Write-Host 'Coldsite runs an orchestration to its end; this can take a minute and a half ...'
$answer = Send-Request POST '/api/selfcheck' @{ Authorization = "Bearer $token" } 110
$found = try { $answer.Body | ConvertFrom-Json } catch { $null }
switch ($answer.Status) {
    200 { if ($null -eq $found.seconds) { throw "$Url answers 200, and is not Coldsite: /api/selfcheck told no seconds." } }
    403 { throw "Coldsite answers, and you lack a role: $($found.detail) (docs/install.md, step 4). Then type: $again" }
    401 { throw "$Url does not accept a token for api://$App, or Coldsite is not behind it. Compare COLDSITE_APP with the app's Authentication page. Then type: $again" }
    default { throw "Coldsite is not installed: its self-check answered $($answer.Status ? $answer.Status : 'nothing'). $($found.detail ? $found.detail : $answer.Body) See its log: portal, the function app, Log stream. Then type: $again" }
}
Write-Host "works   an orchestration ran to its end in $($found.seconds) s"
$problems = @($found.problems | Where-Object { $_ })
# A plan names the site's resources, so with createSite the first deployment has no plan yet.
$planFile = Join-Path $PSScriptRoot '..' '..' 'plans' "$($env:COLDSITE_PLAN).yaml"
if ($env:COLDSITE_CREATE_SITE -eq 'true' -and $env:COLDSITE_PLAN -and -not (Test-Path $planFile)) {
    Write-Host "The site is made, and nothing protects it yet: plans/$($env:COLDSITE_PLAN).yaml does not exist. Go on in docs/install.md, Starting from nothing."
    $problems = @($problems | Where-Object { $_ -notlike 'No recovery plan is deployed*' })
}
foreach ($problem in $problems) { Write-Warning "Coldsite says of itself: $problem" }
if ($problems) {
    throw "Coldsite runs, and lacks what a failover needs. A secret that the platform could not read is read again after a restart: portal, the function app, Restart. Then type: $again"
}
