<#
.SYNOPSIS
Makes the app registration by which people sign in to Coldsite and Azure Monitor shows who it is.

.DESCRIPTION
azd runs this before it makes anything. It is safe to run again: what is there is kept. It needs the Azure CLI, signed in
as somebody who may register applications (Application Administrator, or the owner of a registration that exists).
It makes no secret. It has not been run against every kind of directory; it says what it does, step by step.
#>
[CmdletBinding()]
param()

$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true

$name = "coldsite-$($env:AZURE_ENV_NAME)"
$rolesFile = Join-Path $PSScriptRoot 'roles.json'
$monitor = '461e8683-5575-4561-ac7f-899cc907d62a'   # Azure Monitor's own application, the same everywhere

function Get-OrAdd([string] $what, [scriptblock] $get, [scriptblock] $add) {
    $found = & $get | ConvertFrom-Json
    if ($found) { Write-Host "$what is there."; return $found | Select-Object -First 1 }
    Write-Host "$what is made."
    return & $add | ConvertFrom-Json
}

function Send-Graph([string] $method, [string] $path, [string] $body) {
    $file = New-TemporaryFile
    try {
        Set-Content -Path $file -Value $body
        az rest --method $method --uri "https://graph.microsoft.com/v1.0/$path" --headers 'Content-Type=application/json' --body "@$file" | Out-Null
    }
    finally { Remove-Item $file }
}

if ($env:COLDSITE_APP -and $env:COLDSITE_APP_OBJECT) {
    # Somebody made the registration, or an earlier run did: it is left alone, and what it lacks is said.
    $values = @(az ad app show --id $env:COLDSITE_APP --query 'appRoles[].value' --output tsv)
    $wanted = (Get-Content $rolesFile -Raw | ConvertFrom-Json).value
    $missing = @($wanted | Where-Object { $_ -notin $values })
    if ($missing) { Write-Warning "The registration $($env:COLDSITE_APP) lacks the app roles $($missing -join ', '). See docs/install.md." }
    else { Write-Host "The registration $($env:COLDSITE_APP) is there, with all its roles." }
    return
}

$app = Get-OrAdd "The registration $name" `
    { az ad app list --display-name $name --query "[?displayName=='$name']" --output json } `
    { az ad app create --display-name $name --sign-in-audience AzureADMyOrg --app-roles "@$rolesFile" --output json }

# Tokens of version 2 carry the client id as their audience; the URI is what Azure Monitor asks for. The Azure CLI may ask
# for a person's token without asking the person again: that is how the coldsite command signs in.
$azureCli = '04b07795-8ddb-461a-bbee-02f9e1bf7b46'
# A permission that is there already stays: Microsoft Entra refuses to replace one that is enabled.
$there = @($app.api.oauth2PermissionScopes | Where-Object isEnabled)
$scope = if ($there) { $there[0] } else { @{
    id                      = '7d2b5a5e-3f0c-4b44-9d0e-5b0b7f0a1c05'
    value                   = 'access'
    type                    = 'User'
    isEnabled               = $true
    adminConsentDisplayName = 'Use Coldsite'
    adminConsentDescription = 'Use Coldsite as the person who is signed in, with that person''s roles.'
} }
$scopes = if ($there) { @($app.api.oauth2PermissionScopes) } else { @($scope) }
$api = @{ requestedAccessTokenVersion = 2; oauth2PermissionScopes = $scopes }
$body = @{ identifierUris = @("api://$($app.appId)"); api = $api } | ConvertTo-Json -Depth 5 -Compress
Send-Graph PATCH "applications/$($app.id)" $body
$api.preAuthorizedApplications = @(@{ appId = $azureCli; delegatedPermissionIds = @($scope.id) })
Send-Graph PATCH "applications/$($app.id)" (@{ api = $api } | ConvertTo-Json -Depth 5 -Compress)

# Azure Monitor takes only an owner's word for it that its alerts may go to this registration.
# A pipeline is no person: it must have been made an owner before.
$account = az account show --query user.type --output tsv
$me = if ($account -eq 'user') { az ad signed-in-user show --query id --output tsv }
$owners = az ad app owner list --id $app.appId --query '[].id' --output tsv
if ($me -and $me -notin $owners) { az ad app owner add --id $app.appId --owner-object-id $me | Out-Null }

$principal = Get-OrAdd 'Its enterprise application' `
    { az ad sp list --filter "appId eq '$($app.appId)'" --output json } `
    { az ad sp create --id $app.appId --output json }
# Only people and programs that were given a role get a token at all.
az ad sp update --id $principal.id --set appRoleAssignmentRequired=true | Out-Null

$sender = Get-OrAdd 'Azure Monitor in this directory' `
    { az ad sp list --filter "appId eq '$monitor'" --output json } `
    { az ad sp create --id $monitor --output json }

# The role is chosen by its value: the first role of the list would be the wrong one.
$role = (Get-Content $rolesFile -Raw | ConvertFrom-Json) | Where-Object value -EQ 'ActionGroupsSecureWebhook'
$assigned = az rest --method GET --uri "https://graph.microsoft.com/v1.0/servicePrincipals/$($principal.id)/appRoleAssignedTo" | ConvertFrom-Json
if ($assigned.value | Where-Object { $_.principalId -eq $sender.id -and $_.appRoleId -eq $role.id }) {
    Write-Host 'Azure Monitor has its role.'
}
else {
    $assignment = @{ principalId = $sender.id; resourceId = $principal.id; appRoleId = $role.id } | ConvertTo-Json -Compress
    Send-Graph POST "servicePrincipals/$($principal.id)/appRoleAssignedTo" $assignment
    Write-Host 'Azure Monitor is given its role.'
}

azd env set COLDSITE_APP $app.appId
azd env set COLDSITE_APP_OBJECT $app.id
Write-Host "Now give people their roles: Entra admin center, Enterprise applications, $name, Users and groups."
