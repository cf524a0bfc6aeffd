<#
.SYNOPSIS
Proves after a deployment that Coldsite lets in nobody who has not signed in, and no alert without Azure Monitor's token.

.DESCRIPTION
azd runs this after it has deployed the app. It changes nothing. It fails the deployment when a door is open.
#>
[CmdletBinding()]
param([string] $Url = $env:COLDSITE_URL)

$ErrorActionPreference = 'Stop'

function Get-Status([string] $method, [string] $path, [hashtable] $headers) {
    for ($try = 1; $try -le 20; $try++) {
        $status = 0
        try {
            $answer = Invoke-WebRequest -Uri "$Url$path" -Method $method -Headers $headers -Body ($method -eq 'POST' ? '{}' : $null) `
                -ContentType 'application/json' -SkipHttpErrorCheck
            $status = [int] $answer.StatusCode
        }
        catch { Write-Verbose "$Url does not answer yet: $_" }
        if ($status -gt 0 -and $status -lt 500 -and $status -ne 404) { return $status }
        Start-Sleep -Seconds 6   # A new app takes a while to have a name and to answer.
    }
    return $status
}

$forged = [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes(
        '{"auth_typ":"aad","claims":[{"typ":"oid","val":"somebody"},{"typ":"roles","val":"operator"}]}'))
$doors = @(
    @{ Method = 'GET'; Path = '/api/plans'; Headers = @{} },
    @{ Method = 'GET'; Path = '/api/plans'; Headers = @{ 'X-MS-CLIENT-PRINCIPAL' = $forged } },
    @{ Method = 'POST'; Path = '/api/alerts'; Headers = @{} },
    @{ Method = 'POST'; Path = '/api/alerts'; Headers = @{ Authorization = 'Bearer not.a.token' } }
)
$open = 0
foreach ($door in $doors) {
    $status = Get-Status $door.Method $door.Path $door.Headers
    $with = $door.Headers.Keys -join ', '
    if ($status -eq 401) { Write-Host "closed  $($door.Method) $($door.Path) $with" }
    else { $open++; Write-Warning "OPEN    $($door.Method) $($door.Path) $with answered $status instead of 401" }
}
if ($open) { throw "$open of $($doors.Count) doors are open. See docs/security.md before you go on." }
Write-Host 'Every door is closed to strangers.'
