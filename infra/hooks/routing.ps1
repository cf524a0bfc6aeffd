#Requires -Version 7.4
<#
.SYNOPSIS
Reads the status of the Traffic Manager endpoints, so that a deployment after a failover leaves customers where they
are.

.DESCRIPTION
With createSite the templates describe the whole profile. Without this script they would enable the old site and disable
the one that serves. It only reads Azure, and writes two azd settings. If it cannot read, it stops the deployment. With
MustExist it also stops when the profile is not there.
#>
[CmdletBinding()]
param([switch] $MustExist)

$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true

if (-not $env:COLDSITE_PLAN) { throw 'COLDSITE_PLAN is not set, so the profile cannot be found. Type: azd env set COLDSITE_PLAN NAME' }
if (-not $env:AZURE_SUBSCRIPTION_ID) { throw 'AZURE_SUBSCRIPTION_ID is not set. Let azd run this: azd provision' }
$group = if ($env:COLDSITE_EDGE_GROUP_NAME) { $env:COLDSITE_EDGE_GROUP_NAME } else { "$($env:COLDSITE_PLAN)-edge" }
$name = if ($env:COLDSITE_PROFILE_NAME) { $env:COLDSITE_PROFILE_NAME } else { $env:COLDSITE_PLAN }

# Compared here, not in the query: Azure returns groups in either letter case, and a name may contain a quote.
$answer = az network traffic-manager profile list --subscription $env:AZURE_SUBSCRIPTION_ID --output json
if (-not $answer) { throw "az gave no answer to: az network traffic-manager profile list. Nothing is deployed, since it is not known where customers are." }
$found = $answer | ConvertFrom-Json | Where-Object { $_.name -eq $name -and $_.resourceGroup -eq $group }
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
# By name, not by priority: an endpoint that was added or moved by hand must not be mistaken for a site.
$primary = if ($env:COLDSITE_PRIMARY_ENDPOINT) { $env:COLDSITE_PRIMARY_ENDPOINT } else { 'on-premises' }
$others = @($endpoints | Where-Object name -NE $primary)
if ($others.Count -eq @($endpoints).Count) {
    throw "The profile $name has no endpoint $primary; it has $($endpoints.name -join ', '). The alert that wakes Coldsite would watch nothing. Type: azd env set COLDSITE_PRIMARY_ENDPOINT NAME"
}
if ($others.Count -ne 1) {
    throw "The profile $name has the endpoints $($endpoints.name -join ', '). Coldsite needs two, the primary site's and the recovery site's, to know where customers are. Remove the others in the portal, or name the right profile: azd env set COLDSITE_PROFILE_NAME NAME"
}
foreach ($endpoint in $endpoints) {
    $status = @('Enabled', 'Disabled') | Where-Object { $_ -eq $endpoint.endpointStatus }
    if (-not $status) { throw "The endpoint $($endpoint.name) is '$($endpoint.endpointStatus)', which is neither Enabled nor Disabled. Nothing is deployed." }
    azd env set $($endpoint.name -eq $primary ? 'COLDSITE_PRIMARY_STATUS' : 'COLDSITE_RECOVERY_STATUS') $status
    Write-Host "$($endpoint.name) is $status, and stays so."
}
