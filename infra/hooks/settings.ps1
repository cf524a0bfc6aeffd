#Requires -Version 7.4
<#
.SYNOPSIS
Reads the settings of a deployment before anything is made, and names each that is missing or wrong with the command that sets it.

.DESCRIPTION
azd runs this first. It asks Azure nothing and changes nothing. An empty setting counts as one that is not set: a GitHub
variable that does not exist arrives empty.
#>
[CmdletBinding()]
param()

$ErrorActionPreference = 'Stop'
$problems = [System.Collections.Generic.List[string]]::new()

function Get-Setting([string] $name) { "$([Environment]::GetEnvironmentVariable($name))".Trim() }

function Assert-Set([string] $name, [string] $holds, [string] $example) {
    if (-not (Get-Setting $name)) { $problems.Add("$name is not set. It holds $holds. Type: azd env set $name $example") }
}

function Assert-Form([string] $name, [string] $pattern, [string] $expected, [switch] $secret) {
    $value = Get-Setting $name
    $shown = if ($secret) { 'not of the form that is expected' } else { "'$value'" }
    if ($value -and $value -cnotmatch $pattern) { $problems.Add("$name is $shown. Expected: $expected Type: azd env set $name VALUE") }
}

$planName = '^[a-z][a-z0-9]{0,30}(-[a-z0-9]+)*$'
$network = '(?i)^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Network/virtualNetworks/[^/]+$'
$createSite = (Get-Setting 'COLDSITE_CREATE_SITE') -eq 'true'
$project = Join-Path $PSScriptRoot '..' '..'

Assert-Set 'COLDSITE_PLAN' 'the name of the recovery plan, as in plans/NAME.yaml' 'acme'
Assert-Set 'COLDSITE_OPERATOR_EMAIL' 'the address that is written to when Coldsite or the replication fails' 'it@example.com'
Assert-Set 'COLDSITE_PRIMARY_ADDRESS' 'the public address of the primary site, not the name that customers use' '203.0.113.10'
Assert-Set 'COLDSITE_SQL_PROBE' 'user:password of the login by which SQL Server is checked' '''coldsite:PASSWORD'''
Assert-Set 'COLDSITE_NOTIFY_URL' 'the Apprise address for messages' '''mailto://...'''
if ($createSite) {
    Assert-Set 'COLDSITE_VPN_KEY' 'the shared key of the VPN connection' '''KEY'''
    Assert-Set 'COLDSITE_REPLICA_PASSWORD' 'the administrator''s password on the Double-Take machine' '''PASSWORD'''
    $parameters = Get-Content (Join-Path $project 'infra' 'main.parameters.json') -Raw | ConvertFrom-Json
    if (-not $parameters.parameters.PSObject.Properties['site']) {
        $problems.Add("COLDSITE_CREATE_SITE is true, and infra/main.parameters.json does not describe the site. Copy 'site' " +
            'from infra/contoso.parameters.json and put your own values into it (docs/install.md, Starting from nothing).')
    }
}
else {
    Assert-Set 'COLDSITE_FAILOVER_NETWORK' 'the resource id of the network in which recovered machines serve' '"/subscriptions/..."'
    Assert-Set 'COLDSITE_DRILL_NETWORK' 'the resource id of the isolated network for drills' '"/subscriptions/..."'
    Assert-Set 'COLDSITE_RECOVERY_ADDRESS' 'the public address of the recovery site' '198.51.100.20'
}

Assert-Form 'COLDSITE_PLAN' $planName 'small letters, digits and hyphens, as in plans/NAME.yaml.'
Assert-Form 'COLDSITE_OPERATOR_EMAIL' '^[^@\s]+@[^@\s]+\.[^@\s]+$' 'an e-mail address.'
Assert-Form 'COLDSITE_FAILOVER_NETWORK' $network 'a resource id: az network vnet show -g GROUP -n NAME --query id -o tsv.'
Assert-Form 'COLDSITE_DRILL_NETWORK' $network 'a resource id: az network vnet show -g GROUP -n NAME --query id -o tsv.'
Assert-Form 'COLDSITE_ADMINISTRATOR_ADDRESSES' '^[0-9./]+(,[0-9./]+)*$' 'public addresses with a comma and no blank between them, such as 203.0.113.7,203.0.113.8.'
foreach ($prefix in 'COLDSITE_NETWORK_PREFIX', 'COLDSITE_FUNCTIONS_PREFIX', 'COLDSITE_ENDPOINTS_PREFIX') {
    Assert-Form $prefix '^(\d{1,3}\.){3}\d{1,3}/\d{1,2}$' 'a range of addresses, such as 10.250.0.0/24.'
}
Assert-Form 'COLDSITE_OBSERVER_ADDRESS' '^[A-Za-z0-9.:\[\]-]+$' 'a host name or an address, without https:// and without a path.'
Assert-Form 'COLDSITE_NOTIFY_URL' '^[a-zA-Z0-9+-]+://\S+$' 'an Apprise address, such as msteams://... or mailto://... .' -secret
Assert-Form 'COLDSITE_SQL_PROBE' '^[^:]+:.+$' 'user:password, with a colon between them.' -secret
foreach ($switch in 'COLDSITE_CREATE_SITE', 'COLDSITE_USE_VPN', 'COLDSITE_SEALS_LOCKED', 'COLDSITE_STRICT_NETWORK', 'COLDSITE_ALWAYS_READY', 'COLDSITE_TASK_SCHEDULER') {
    Assert-Form $switch '^(true|false)$' 'true or false.'
}
# A misspelt name would be silently without effect. Known is what the templates read and tell, and what azd hands on.
$known = 'azure.yaml', 'infra/main.parameters.json', 'infra/main.bicep' | ForEach-Object {
    [regex]::Matches((Get-Content (Join-Path $project $_) -Raw), 'COLDSITE_[A-Z_]+').Value
}
# These are the command's and the lab's.
$known += 'COLDSITE_KEY', 'COLDSITE_TOKEN', 'COLDSITE_LAB_ENGINE'
foreach ($name in [Environment]::GetEnvironmentVariables().Keys | Where-Object { $_ -clike 'COLDSITE_*' } | Sort-Object) {
    if ((Get-Setting $name) -and $name -cnotin $known) {
        $problems.Add("$name is no setting of this deployment, so it has no effect; docs/install.md, step 3, lists them all. Remove it: azd env set $name ''")
    }
}
$plan = Get-Setting 'COLDSITE_PLAN'
$planIsThere = Test-Path (Join-Path $project 'plans' "$plan.yaml")
if ($plan -cmatch $planName -and -not $planIsThere -and $createSite) {
    # A plan names what the site consists of, so it can be written only when the site is there.
    Write-Host "plans/$plan.yaml does not exist yet. When the site is made: coldsite plan init $plan, then azd deploy."
}
elseif ($plan -cmatch $planName -and -not $planIsThere) {
    $problems.Add("COLDSITE_PLAN is '$plan', and plans/$plan.yaml does not exist. Type: coldsite plan init $plan --subscription SUBSCRIPTION-ID")
}

if ($problems.Count) {
    $problems | ForEach-Object { Write-Host "- $_" }
    throw "$($problems.Count) setting$(if ($problems.Count -gt 1) { 's' }) must be corrected before anything is deployed. docs/install.md, step 3, explains each."
}
Write-Host 'Every setting that the deployment needs is there.'
