<#
.SYNOPSIS
Reads how the Traffic Manager endpoints are, so that a deployment after a failover leaves customers where they are.

.DESCRIPTION
With createSite the templates describe the profile whole. Deployed blindly, they would enable the old site and disable the
one that serves. This only reads Azure, and writes two azd settings.
#>
[CmdletBinding()]
param()

$ErrorActionPreference = 'Stop'

$group = if ($env:COLDSITE_EDGE_GROUP_NAME) { $env:COLDSITE_EDGE_GROUP_NAME } else { "$($env:COLDSITE_PLAN)-edge" }
$profile = if ($env:COLDSITE_PROFILE_NAME) { $env:COLDSITE_PROFILE_NAME } else { $env:COLDSITE_PLAN }
$known = az network traffic-manager profile list --query "[?name=='$profile' && resourceGroup=='$group'].id" --output tsv
if (-not $known) {
    Write-Host "The profile $profile is not there yet."
    return
}
$endpoints = @(az network traffic-manager profile show --resource-group $group --name $profile --query endpoints --output json | ConvertFrom-Json)
foreach ($endpoint in $endpoints) {
    $setting = if ($endpoint.priority -eq 1) { 'COLDSITE_PRIMARY_STATUS' } else { 'COLDSITE_RECOVERY_STATUS' }
    azd env set $setting $endpoint.endpointStatus
    Write-Host "$($endpoint.name) is $($endpoint.endpointStatus), and stays so."
}
