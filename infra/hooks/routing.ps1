#Requires -Version 7.4
<#
.SYNOPSIS
Reads how the Traffic Manager endpoints are, so that a deployment after a failover leaves customers where they are.

.DESCRIPTION
With createSite the templates describe the profile whole. Deployed blindly, they would enable the old site and disable the
one that serves. This only reads Azure, and writes two azd settings. Where it cannot read, it stops the deployment.
With MustExist it also stops when the profile, or the primary site's endpoint in it, is not there.
#>
[CmdletBinding()]
param([switch] $MustExist)

$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true

if (-not $env:COLDSITE_PLAN) { throw 'COLDSITE_PLAN is not set, so the profile cannot be found. Type: azd env set COLDSITE_PLAN NAME' }
if (-not $env:AZURE_SUBSCRIPTION_ID) { throw 'AZURE_SUBSCRIPTION_ID is not set. Let azd run this: azd provision' }
$group = if ($env:COLDSITE_EDGE_GROUP_NAME) { $env:COLDSITE_EDGE_GROUP_NAME } else { "$($env:COLDSITE_PLAN)-edge" }
$name = if ($env:COLDSITE_PROFILE_NAME) { $env:COLDSITE_PROFILE_NAME } else { $env:COLDSITE_PLAN }

# Compared here and not in the question: Azure hands out groups in either letter case, and a name may hold a quote.
$found = az network traffic-manager profile list --subscription $env:AZURE_SUBSCRIPTION_ID --output json | ConvertFrom-Json |
    Where-Object { $_.name -eq $name -and $_.resourceGroup -eq $group }
if (-not $found) {
    if ($env:COLDSITE_PRIMARY_STATUS) {
        throw "The profile $name is not in the group $group of the subscription $($env:AZURE_SUBSCRIPTION_ID), although an earlier deployment saw it. Deploying now could send customers to the wrong site. Correct COLDSITE_PROFILE_NAME and COLDSITE_EDGE_GROUP_NAME; if the profile was removed on purpose, type: azd env set COLDSITE_PRIMARY_STATUS ''"
    }
    if ($MustExist) {
        throw "The Traffic Manager profile $name is not in the group $group of the subscription $($env:AZURE_SUBSCRIPTION_ID). Look it up: az network traffic-manager profile list --output table. Then type: azd env set COLDSITE_PROFILE_NAME NAME, and azd env set COLDSITE_EDGE_GROUP_NAME GROUP"
    }
    Write-Host "The profile $name is not there yet."
    return
}
$endpoints = @((az network traffic-manager profile show --subscription $env:AZURE_SUBSCRIPTION_ID --resource-group $found.resourceGroup --name $found.name --output json | ConvertFrom-Json).endpoints)
if (-not $endpoints) { throw "az gave no endpoints for the profile $name. Nothing is deployed, since it is not known where customers are." }
$primary = if ($env:COLDSITE_PRIMARY_ENDPOINT) { $env:COLDSITE_PRIMARY_ENDPOINT } else { 'on-premises' }
if ($MustExist -and $primary -notin $endpoints.name) {
    throw "The profile $name has no endpoint $primary; it has $($endpoints.name -join ', '). The alert that wakes Coldsite would watch nothing. Type: azd env set COLDSITE_PRIMARY_ENDPOINT NAME"
}
foreach ($endpoint in $endpoints) {
    $setting = if ($endpoint.priority -eq 1) { 'COLDSITE_PRIMARY_STATUS' } else { 'COLDSITE_RECOVERY_STATUS' }
    azd env set $setting $endpoint.endpointStatus
    Write-Host "$($endpoint.name) is $($endpoint.endpointStatus), and stays so."
}
