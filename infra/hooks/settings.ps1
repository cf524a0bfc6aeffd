#Requires -Version 7.4
<#
.SYNOPSIS
Checks the settings before anything is created, and names each that is missing or wrong with the command that sets it.

.DESCRIPTION
azd runs this first. It does not query Azure and changes nothing. An empty setting counts as unset: a GitHub variable
that does not exist arrives empty.
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

# An address or a range of addresses, or nothing if it is neither. A name of digits only must be an address.
function Read-Range([string] $text) { $range = [System.Net.IPNetwork]::new([System.Net.IPAddress]::Any, 0); if ([System.Net.IPNetwork]::TryParse($text, [ref] $range)) { $range } }
function Test-Address([string] $text) { $text -match '^(\d{1,3}\.){3}\d{1,3}$' -and [System.Net.IPAddress]::TryParse($text, [ref] ([System.Net.IPAddress]::Any)) }

function Assert-Host([string] $name) {
    $value = Get-Setting $name
    $isName = $value -match '^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$' -and $value -notmatch '^[\d.]+$'
    if ($value -and -not $isName -and -not (Test-Address $value)) {
        $problems.Add("$name is '$value'. Expected: an address or a host name, without https:// and without a path. Type: azd env set $name VALUE")
    }
}

# Exactly the example's keys must be present: a misspelt key would have no effect.
function Assert-Like($given, $example, [string] $place) {
    if ($example -is [array]) {
        if ($given -isnot [array] -or -not $given.Count) { $problems.Add("$place in infra/main.parameters.json must be a list with at least one entry, as in infra/contoso.parameters.json."); return }
        for ($n = 0; $n -lt $given.Count; $n++) { Assert-Like $given[$n] $example[0] "${place}[$n]" }
    }
    elseif ($example -is [pscustomobject]) {
        if ($given -isnot [pscustomobject]) { $problems.Add("$place in infra/main.parameters.json must hold $($example.PSObject.Properties.Name -join ', '), as in infra/contoso.parameters.json."); return }
        foreach ($key in $example.PSObject.Properties.Name) {
            if ($null -eq $given.$key) { $problems.Add("$place.$key is missing in infra/main.parameters.json. Copy it from infra/contoso.parameters.json and put your own value into it.") }
            else { Assert-Like $given.$key $example.$key "$place.$key" }
        }
        foreach ($key in $given.PSObject.Properties.Name) {
            if ($key -cnotin $example.PSObject.Properties.Name) { $problems.Add("$place.$key in infra/main.parameters.json is no key of a site. Known: $($example.PSObject.Properties.Name -join ', ').") }
        }
    }
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
    $example = Get-Content (Join-Path $project 'infra' 'contoso.parameters.json') -Raw | ConvertFrom-Json
    if ($parameters.parameters.site.value) { Assert-Like $parameters.parameters.site.value $example.parameters.site.value 'site' }
    else {
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
foreach ($address in (Get-Setting 'COLDSITE_ADMINISTRATOR_ADDRESSES') -split ',' | Where-Object { $_ }) {
    if (-not (Test-Address $address) -and -not (Read-Range $address)) {
        $problems.Add("COLDSITE_ADMINISTRATOR_ADDRESSES is '$(Get-Setting 'COLDSITE_ADMINISTRATOR_ADDRESSES')'. Expected: public addresses with a comma and no blank between them, such as 203.0.113.7,203.0.113.8. Type: azd env set COLDSITE_ADMINISTRATOR_ADDRESSES VALUE")
        break
    }
}
Assert-Form 'COLDSITE_MORE_SETTINGS' '^[A-Z][A-Z0-9_]*( [A-Z][A-Z0-9_]*)*$' 'names of app settings in capital letters, separated by one blank; their values are secrets of the vault (docs/install.md).'
if ((Get-Setting 'AZURE_ENV_NAME') -notmatch '^[A-Za-z0-9][A-Za-z0-9-]{0,19}$') {
    $problems.Add("AZURE_ENV_NAME is '$(Get-Setting 'AZURE_ENV_NAME')'. Expected: at most 20 letters, digits and hyphens. It is the environment's name: azd env new NAME")
}
foreach ($name in 'COLDSITE_RECOVERY_GROUP_NAME', 'COLDSITE_REPLICA_GROUP_NAME', 'COLDSITE_EDGE_GROUP_NAME') {
    Assert-Form $name '^[\p{L}\p{Nd}_.()-]{1,90}$' 'the name of a resource group: letters, digits, _ . ( ) and -.'
}
foreach ($name in 'COLDSITE_PROFILE_NAME', 'COLDSITE_PRIMARY_ENDPOINT') { Assert-Form $name '^\S{1,260}$' 'a name without blanks.' }
foreach ($name in 'COLDSITE_PRIMARY_ADDRESS', 'COLDSITE_RECOVERY_ADDRESS', 'COLDSITE_OBSERVER_ADDRESS') { Assert-Host $name }
foreach ($name in 'COLDSITE_PRIMARY_STATUS', 'COLDSITE_RECOVERY_STATUS') { Assert-Form $name '^(Enabled|Disabled)$' 'Enabled or Disabled.' }
if ((Get-Setting 'COLDSITE_PRIMARY_ADDRESS') -and (Get-Setting 'COLDSITE_PRIMARY_ADDRESS') -eq (Get-Setting 'COLDSITE_RECOVERY_ADDRESS')) {
    $problems.Add("COLDSITE_PRIMARY_ADDRESS and COLDSITE_RECOVERY_ADDRESS are the same. Each site has an address of its own. Type: azd env set COLDSITE_RECOVERY_ADDRESS VALUE")
}
if ((Get-Setting 'COLDSITE_FAILOVER_NETWORK') -and (Get-Setting 'COLDSITE_FAILOVER_NETWORK') -eq (Get-Setting 'COLDSITE_DRILL_NETWORK')) {
    $problems.Add('COLDSITE_FAILOVER_NETWORK and COLDSITE_DRILL_NETWORK are the same, so a drill would not be isolated. Type: azd env set COLDSITE_DRILL_NETWORK "/subscriptions/..."')
}
$defaults = [ordered] @{ COLDSITE_NETWORK_PREFIX = '10.250.0.0/24'; COLDSITE_FUNCTIONS_PREFIX = '10.250.0.0/25'; COLDSITE_ENDPOINTS_PREFIX = '10.250.0.128/26' }
$ranges = @{}
foreach ($name in $defaults.Keys) {
    $said = if (Get-Setting $name) { Get-Setting $name } else { $defaults[$name] }
    $ranges[$name] = Read-Range $said
    if (-not $ranges[$name]) { $problems.Add("$name is '$said'. Expected: a range of addresses, such as $($defaults[$name]). Type: azd env set $name VALUE") }
}
$whole, $functions, $endpoints = $defaults.Keys | ForEach-Object { $ranges[$_] }
if ($whole -and $functions -and $endpoints) {
    foreach ($name in 'COLDSITE_FUNCTIONS_PREFIX', 'COLDSITE_ENDPOINTS_PREFIX') {
        if (-not $whole.Contains($ranges[$name].BaseAddress) -or $ranges[$name].PrefixLength -lt $whole.PrefixLength) {
            $problems.Add("$name ($($ranges[$name])) lies outside COLDSITE_NETWORK_PREFIX ($whole). Set all three, or none. Type: azd env set $name VALUE")
        }
    }
    if ($functions.Contains($endpoints.BaseAddress) -or $endpoints.Contains($functions.BaseAddress)) {
        $problems.Add("COLDSITE_FUNCTIONS_PREFIX ($functions) and COLDSITE_ENDPOINTS_PREFIX ($endpoints) overlap. Type: azd env set COLDSITE_ENDPOINTS_PREFIX VALUE")
    }
    if ($functions.PrefixLength -gt 27) { $problems.Add("COLDSITE_FUNCTIONS_PREFIX ($functions) is too small: the functions need a /27 at least. Type: azd env set COLDSITE_FUNCTIONS_PREFIX VALUE") }
}
Assert-Form 'COLDSITE_NOTIFY_URL' '^[a-zA-Z0-9+-]+://\S+$' 'an Apprise address, such as msteams://... or mailto://... .' -secret
Assert-Form 'COLDSITE_SQL_PROBE' '^[^:]+:.+$' 'user:password, with a colon between them.' -secret
foreach ($switch in 'COLDSITE_CREATE_SITE', 'COLDSITE_USE_VPN', 'COLDSITE_DOCUMENTS_LOCKED', 'COLDSITE_STRICT_NETWORK', 'COLDSITE_ALWAYS_READY', 'COLDSITE_TASK_SCHEDULER') {
    Assert-Form $switch '^(true|false)$' 'true or false.'
}
# A misspelt name would silently have no effect. Known names: the templates' parameters and outputs, and azd's own.
$known = 'azure.yaml', 'infra/main.parameters.json', 'infra/main.bicep' | ForEach-Object {
    [regex]::Matches((Get-Content (Join-Path $project $_) -Raw), 'COLDSITE_[A-Z_]+').Value
}
# These are the command's and the lab's.
$known += 'COLDSITE_KEY', 'COLDSITE_TOKEN', 'COLDSITE_LAB_ENGINE'
foreach ($name in [Environment]::GetEnvironmentVariables().Keys | Where-Object { $_ -clike 'COLDSITE_*' } | Sort-Object) {
    $value = "$([Environment]::GetEnvironmentVariable($name))"
    if ((Get-Setting $name) -and $value -cne $value.Trim()) { $problems.Add("$name begins or ends with a blank. Type: azd env set $name VALUE, without it.") }
    if ((Get-Setting $name) -and $name -cnotin $known) {
        $problems.Add("$name is no setting of this deployment, so it has no effect; docs/install.md, step 3, lists them all. Remove it: azd env set $name ''")
    }
}
$plan = Get-Setting 'COLDSITE_PLAN'
$planIsThere = Test-Path (Join-Path $project 'plans' "$plan.yaml")
if ($plan -cmatch $planName -and -not $planIsThere -and $createSite) {
    # A plan names the site's resources, so it can be written only when the site exists.
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
