#Requires -Version 7.4
<#
.SYNOPSIS
Creates the app registration with which people and Azure Monitor authenticate to Coldsite.

.DESCRIPTION
azd runs this before it deploys anything. It is safe to run again: existing objects are kept. It needs the Azure CLI,
signed in as a user who may register applications (Application Administrator, or an owner of the existing registration).
It creates no secret. It has not been run against every kind of directory; it reports each step.
#>
[CmdletBinding()]
param()

$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true

$name = "coldsite-$($env:AZURE_ENV_NAME)"
$rolesFile = Join-Path $PSScriptRoot 'roles.json'
$roles = Get-Content $rolesFile -Raw | ConvertFrom-Json
$monitor = '461e8683-5575-4561-ac7f-899cc907d62a'    # Azure Monitor's own application, the same everywhere
$azureCli = '04b07795-8ddb-461a-bbee-02f9e1bf7b46'   # with which the coldsite command signs in
$graph = 'https://graph.microsoft.com/v1.0'

function Get-OrAdd([string] $what, [scriptblock] $get, [scriptblock] $add) {
    $answer = & $get
    if (-not $answer) { throw "az gave no answer when it was asked for $what. Nothing is made, since it may be there already." }
    $found = @($answer | ConvertFrom-Json)
    if ($found.Count -gt 1) {
        throw "$what is there $($found.Count) times: $($found.appId -join ', '). Set the one that Coldsite shall use: azd env set COLDSITE_APP <client id>, azd env set COLDSITE_APP_OBJECT <object id>."
    }
    if ($found) { Write-Host "$what is there."; return $found[0] }
    $made = & $add | ConvertFrom-Json
    if (-not $made) { throw "$what was asked for, and az gave no answer. Look in Microsoft Entra whether it is there, then repeat." }
    Write-Host "$what is made."
    return $made
}

function Send-Graph([string] $method, [string] $path, [hashtable] $body) {
    $file = New-TemporaryFile
    try {
        Set-Content -Path $file -Value ($body | ConvertTo-Json -Depth 5 -Compress)
        for ($try = 1; $try -le 7; $try++) {
            # Microsoft Entra takes some seconds to replicate a new registration, and answers 404 until then.
            $PSNativeCommandUseErrorActionPreference = $false
            $said = az rest --method $method --uri "$graph/$path" --headers 'Content-Type=application/json' --body "@$file" 2>&1
            if ($LASTEXITCODE -eq 0) { return }
            if ("$said" -notmatch 'Not ?Found') { break }
            Write-Host "Microsoft Entra does not know it yet; once more in 10 seconds (try $try of 6)."
            Start-Sleep -Seconds 10
        }
        throw "Microsoft Entra refused $method $path`: $said"
    }
    finally { Remove-Item $file }
}

function Get-Assignments([string] $principal) { @((az rest --method GET --uri "$graph/servicePrincipals/$principal/appRoleAssignedTo" --output json | ConvertFrom-Json).value) }

# az uses the directory of the current subscription. In the wrong directory every object would be created in the wrong
# place.
$here = az account show --output json | ConvertFrom-Json
if ($env:AZURE_SUBSCRIPTION_ID) {
    $wanted = az account show --subscription $env:AZURE_SUBSCRIPTION_ID --output json | ConvertFrom-Json
    if ($wanted.tenantId -ne $here.tenantId) {
        throw "The Azure CLI is in the directory $($here.tenantId), and the subscription in $($wanted.tenantId). Type: az account set --subscription $($env:AZURE_SUBSCRIPTION_ID)"
    }
}
$person = if ($here.user.type -eq 'user') { (az ad signed-in-user show --output json | ConvertFrom-Json).id }
# The deploying identity must be able to call the self-check: a person as operator, a pipeline as viewer.
$deployers = if ($person) { 'operator' } else { 'viewer' }
$deployer = $person
if (-not $person) {
    try { $deployer = (az ad sp show --id $here.user.name --output json | ConvertFrom-Json).id }
    catch { Write-Warning "The pipeline's principal $($here.user.name) cannot be looked up. Give it the role viewer by hand, or infra/hooks/check.ps1 will stop its deployments." }
}

if ([bool] $env:COLDSITE_APP -ne [bool] $env:COLDSITE_APP_OBJECT) {
    $lacks = if ($env:COLDSITE_APP) { 'COLDSITE_APP_OBJECT (the object id of the registration)' } else { 'COLDSITE_APP (the client id of the registration)' }
    throw "Only one of COLDSITE_APP and COLDSITE_APP_OBJECT is set. Set $lacks too, or neither, so that this makes a registration."
}

if ($env:COLDSITE_APP) {
    # An administrator or an earlier run created the registration: it is not changed, and what it lacks is reported.
    $app = az ad app show --id $env:COLDSITE_APP --output json | ConvertFrom-Json
    $missing = @($roles.value | Where-Object { $_ -notin $app.appRoles.value })
    $lacks = @(
        if ($missing) { "the app roles $($missing -join ', ')" }
        if ("api://$($app.appId)" -notin $app.identifierUris) { "the Application ID URI api://$($app.appId)" }
        if (-not ($app.api.oauth2PermissionScopes | Where-Object isEnabled)) { 'a delegated permission (Expose an API, Add a scope)' }
        if ($azureCli -notin $app.api.preAuthorizedApplications.appId) { "the Azure CLI ($azureCli) as an authorised client" }
        if ($app.api.requestedAccessTokenVersion -ne 2) { 'access tokens of version 2' }
        try {
            if ($person -and $person -notin @((az ad app owner list --id $app.appId --output json | ConvertFrom-Json).id)) {
                "you as an owner (az ad app owner add --id $($app.appId) --owner-object-id $person)"
            }
            $principal = @(az ad sp list --filter "appId eq '$($app.appId)'" --output json | ConvertFrom-Json)
            if (-not $principal) { "its enterprise application (az ad sp create --id $($app.appId))" }
            else {
                if (-not $principal[0].appRoleAssignmentRequired) { '"Assignment required" on its enterprise application' }
                $webhook = ($roles | Where-Object value -EQ 'ActionGroupsSecureWebhook').id
                $sender = @(az ad sp list --filter "appId eq '$monitor'" --output json | ConvertFrom-Json)
                $given = Get-Assignments $principal[0].id | Where-Object { $sender -and $_.principalId -eq $sender[0].id -and $_.appRoleId -eq $webhook }
                if (-not $given) { "the role ActionGroupsSecureWebhook for Azure Monitor ($monitor)" }
                if ($deployer -and -not (Get-Assignments $principal[0].id | Where-Object principalId -EQ $deployer)) {
                    "a role for you, without which infra/hooks/check.ps1 cannot ask whether Coldsite works ($deployers, for $deployer)"
                }
            }
        }
        catch { "something that could not be read ($($_.Exception.Message))" }
    )
    if ($lacks) { Write-Warning "The registration $($env:COLDSITE_APP) lacks $($lacks -join '; '). See docs/install.md, An app registration made for you." }
    else { Write-Host "The registration $($env:COLDSITE_APP) is there, with all that Coldsite needs." }
    return
}

# The name is compared here, not in the query: az lists names with that prefix, and a name may contain a quote.
$app = Get-OrAdd "The registration $name" `
    { $answer = az ad app list --display-name $name --output json; if ($answer) { ConvertTo-Json -Depth 9 @($answer | ConvertFrom-Json | Where-Object displayName -EQ $name) } } `
    { az ad app create --display-name $name --sign-in-audience AzureADMyOrg --app-roles "@$rolesFile" --output json }

# Tokens of version 2 have the client id as their audience; Azure Monitor uses the URI. The Azure CLI is pre-authorized
# to get a user's token without another consent: that is how the coldsite command signs in. Existing permissions are
# kept: Microsoft Entra refuses to replace an enabled one. An "if" unrolls a list; @() around it keeps a list of one a
# list, which Microsoft Graph requires. A permission of Coldsite's that was disabled is enabled: two of one id, or of
# one value, would be refused.
$own = '7d2b5a5e-3f0c-4b44-9d0e-5b0b7f0a1c05'
$there = @($app.api.oauth2PermissionScopes | Where-Object { $_ })
$there | Where-Object id -EQ $own | ForEach-Object { $_.isEnabled = $true }
$enabled = @($there | Where-Object isEnabled)
$scope = if ($enabled) { $enabled[0] } else { [pscustomobject] @{
        id                      = $own
        value                   = if ('access' -in $there.value) { 'coldsite' } else { 'access' }
        type                    = 'User'
        isEnabled               = $true
        adminConsentDisplayName = 'Use Coldsite'
        adminConsentDescription = 'Use Coldsite as the person who is signed in, with that person''s roles.'
    } }
$scopes = @(if ($enabled) { $there } else { $there; $scope })
$uris = @($app.identifierUris | Where-Object { $_ }; "api://$($app.appId)") | Select-Object -Unique
$api = @{ requestedAccessTokenVersion = 2; oauth2PermissionScopes = $scopes }
Send-Graph PATCH "applications/$($app.id)" @{ identifierUris = @($uris); api = $api }
# A registration of this name that was created by hand has no roles yet.
$missing = @($roles | Where-Object { $_.value -notin $app.appRoles.value })
if ($missing) { Send-Graph PATCH "applications/$($app.id)" @{ appRoles = @($app.appRoles | Where-Object { $_ }; $missing) } }
$clients = @($app.api.preAuthorizedApplications | Where-Object { $_ -and $_.appId -ne $azureCli })
$clients += @{ appId = $azureCli; delegatedPermissionIds = @($scope.id) }
$api.preAuthorizedApplications = $clients
Send-Graph PATCH "applications/$($app.id)" @{ api = $api }

# Only an owner of the registration may configure it as the target of Azure Monitor's alerts.
# A pipeline is not a user: it must have been made an owner before.
$owners = @((az ad app owner list --id $app.appId --output json | ConvertFrom-Json).id)
if ($person -and $person -notin $owners) { az ad app owner add --id $app.appId --owner-object-id $person | Out-Null }

$principal = Get-OrAdd 'Its enterprise application' `
    { az ad sp list --filter "appId eq '$($app.appId)'" --output json } `
    { az ad sp create --id $app.appId --output json }
# Only users and applications with a role get a token.
az ad sp update --id $principal.id --set appRoleAssignmentRequired=true | Out-Null

$sender = Get-OrAdd 'Azure Monitor in this directory' `
    { az ad sp list --filter "appId eq '$monitor'" --output json } `
    { az ad sp create --id $monitor --output json }

# Roles are chosen by their value: the first role of the list would be the wrong one.
$assigned = Get-Assignments $principal.id
$wanted = @(, @('Azure Monitor', $sender.id, 'ActionGroupsSecureWebhook'))
if ($deployer) { $wanted += , @('You', $deployer, $deployers) }
foreach ($one in $wanted) {
    $who, $id, $value = $one
    $role = $roles | Where-Object value -EQ $value
    if ($assigned | Where-Object { $_.principalId -eq $id -and $_.appRoleId -eq $role.id }) { Write-Host "$who`: the role $value is there."; continue }
    Send-Graph POST "servicePrincipals/$($principal.id)/appRoleAssignedTo" @{ principalId = $id; resourceId = $principal.id; appRoleId = $role.id }
    Write-Host "$who`: the role $value is given."
}

azd env set COLDSITE_APP $app.appId
azd env set COLDSITE_APP_OBJECT $app.id
Write-Host "Now give other people their roles: Entra admin center, Enterprise applications, $name, Users and groups."
