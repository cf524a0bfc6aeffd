// Coldsite in your subscription. By default only Coldsite itself, beside an existing recovery site;
// with createSite also the recovery site: networks, gateway, Double-Take machine, interfaces, Traffic Manager.
//
// Names: kind-coldsite-ENVIRONMENT for what is Coldsite's own (func-, id-, kv-, log-, vnet-, ...; where a name must be
// globally unique, letters derived from the subscription replace the environment), kind-PLAN for the recovery site, and
// WORKLOAD-failover and WORKLOAD-drill for the interfaces. Everything carries the tags application, plan and
// azd-env-name.
targetScope = 'subscription'

@description('Names everything of this deployment; azd asks for it.')
@minLength(1)
@maxLength(20)
param environmentName string

@description('The recovery region. Coldsite runs there too: it must survive the primary site.')
@metadata({ azd: { type: 'location' } })
param location string

@description('The recovery plan that this deployment protects; the name of its file in plans/.')
param planName string = ''

@description('Resource group in which a failover or a drill builds machines. It should hold nothing else. Empty: PLAN-recovery.')
param recoveryGroupName string = ''

@description('Resource group of the Double-Take machine and its disks. Empty: PLAN-replica.')
param replicaGroupName string = ''

@description('Resource group of the Traffic Manager profile. Empty: PLAN-edge.')
param edgeGroupName string = ''

@description('Name of the Traffic Manager profile. Empty: the plan\'s name.')
param profileName string = ''

@description('Name of the primary site\'s endpoint in the profile. Empty: on-premises.')
param primaryEndpointName string = ''

@description('Resource id of the network in which recovered machines serve. Empty when createSite creates it.')
param failoverNetworkId string = ''

@description('Resource id of the isolated network for drills. Empty when createSite creates it.')
param drillNetworkId string = ''

@description('Whether the failover network has a VPN gateway, through which Coldsite then probes the primary site.')
param useVpn bool = true

@description('Client id of the app registration with which people sign in; infra/hooks/sign-in.ps1 creates it.')
param signInClientId string = ''

@description('Object id of the same registration, which Azure Monitor needs to send alerts with a token.')
param signInObjectId string = ''

@description('Name in Log Analytics of the server whose agent\'s silence alerts Coldsite. Empty when there is no agent.')
param heartbeatComputer string = ''

@description('E-mail address for alerts that need an operator.')
param operatorEmail string = ''

@description('Address ranges from which administrators change secrets in the vault; without any, only Coldsite reaches it.')
param administratorAddresses string = ''

@description('Names of further app settings that the plan names, such as the address of a hook, separated by a blank. MOVED_HOOK is the secret moved-hook of the vault.')
param moreSettings string = ''

@description('user:password of the login that checks SQL Server; it may connect, and read one table for the age of the data.')
@secure()
param sqlProbe string = ''

@description('Notification address, in Apprise form: Teams, Slack, e-mail and many more.')
@secure()
param notifyUrl string = ''

@description('The primary site\'s own public address, not the name that customers use.')
param primaryAddress string = ''

@description('The recovery site\'s own public address. Empty when createSite creates it.')
param recoveryAddress string = ''

@description('An always available address outside the primary site, with which Coldsite checks its own connectivity. Empty: Microsoft\'s own test page.')
param observerAddress string = ''

@description('Keeps one instance warm for alerts and one for recoveries. It costs more at rest, and avoids the cold start.')
param alwaysReady bool = false

@description('Runs the orchestrations on Durable Task Scheduler instead of queues and tables of the host\'s own storage account (docs/decisions/0011).')
param taskScheduler bool = false

@description('Whether the storage accounts and the vault are reached by private endpoints, and all other outbound traffic uses a fixed address (NAT gateway). It costs several times as much as the rest of Coldsite (docs/cost.md); without it the accounts and the vault are closed to every network but the functions\' own subnet.')
param strictNetwork bool = false

@description('Whether the retention policy of the documents of ended runs is locked; Azure refuses to write a locked policy.')
param documentsLocked bool = false

@description('Address range of Coldsite\'s own small network; it must not overlap with any network of the sites. Empty: 10.250.0.0/24.')
param coldsiteNetworkPrefix string = ''

@description('The subnet for the functions; at least a /27. Empty: 10.250.0.0/25.')
param functionsPrefix string = ''

@description('The subnet for private endpoints. Empty: 10.250.0.128/26.')
param endpointsPrefix string = ''

@description('Whether to create the recovery site as well.')
param createSite bool = false

@description('Current status of the primary endpoint, so that a deployment after a failover leaves customers where they are; infra/hooks/before.ps1 reads it. Empty: Enabled.')
param primaryStatus string = ''

@description('The same for the recovery site\'s endpoint. Empty: Disabled.')
param recoveryStatus string = ''

@description('The recovery site\'s description; infra/contoso.parameters.json has a complete example.')
param site object = {}

@description('The shared key of the VPN connection. Only with createSite.')
@secure()
param vpnSharedKey string = ''

@description('The administrator\'s password on the Double-Take machine. Only with createSite.')
@secure()
param replicaPassword string = ''

// A variable that is not set in GitHub arrives empty. Empty means the default; a setting without a default is named.
func needed(value string, setting string, what string) string =>
  empty(value) ? fail('${setting} is not set. It holds ${what}. Type: azd env set ${setting} VALUE') : value

func networkId(value string, setting string, what string) string =>
  length(split(value, '/')) == 9 && startsWith(toLower(value), '/subscriptions/') && contains(
      toLower(value),
      '/providers/microsoft.network/virtualnetworks/'
    )
    ? value
    : fail('${setting} is \'${value}\', and not ${what}.')

func status(value string, setting string, otherwise string) string =>
  empty(value)
    ? otherwise
    : (contains(['Enabled', 'Disabled'], value)
        ? value
        : fail('${setting} is \'${value}\', and neither Enabled nor Disabled.'))

var plan = needed(planName, 'COLDSITE_PLAN', 'the name of the recovery plan, as in plans/NAME.yaml')
var recoveryName = empty(recoveryGroupName) ? '${plan}-recovery' : recoveryGroupName
var replicaName = empty(replicaGroupName) ? '${plan}-replica' : replicaGroupName
var edgeName = empty(edgeGroupName) ? '${plan}-edge' : edgeGroupName
var profile = empty(profileName) ? plan : profileName
var functionsRange = empty(functionsPrefix) ? '10.250.0.0/25' : functionsPrefix
var primaryEndpoint = empty(primaryEndpointName) ? 'on-premises' : primaryEndpointName
var primary = needed(primaryAddress, 'COLDSITE_PRIMARY_ADDRESS', 'the primary site\'s own public address')
var clientId = needed(
  signInClientId,
  'COLDSITE_APP',
  'the client id of the app registration, which infra/hooks/sign-in.ps1 makes'
)
var aNetworksId = 'the resource id of a network, as az network vnet show -g GROUP -n NAME --query id -o tsv prints it'
var failoverNetwork = createSite ? '' : networkId(failoverNetworkId, 'COLDSITE_FAILOVER_NETWORK', aNetworksId)
var drillNetwork = createSite ? '' : networkId(drillNetworkId, 'COLDSITE_DRILL_NETWORK', aNetworksId)

// azd deploys the app into the one group with this tag, so only Coldsite's own carries it.
var ownTags = union(tags, { 'azd-env-name': environmentName })
var tags = { application: 'coldsite', plan: plan }
var token = toLower(uniqueString(subscription().id, environmentName, location))
var vaultName = 'kv-coldsite-${take(token, 10)}'

resource coldsiteGroup 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-coldsite-${environmentName}'
  location: location
  tags: ownTags
}

resource recoveryGroup 'Microsoft.Resources/resourceGroups@2024-03-01' = if (createSite) {
  name: recoveryName
  location: location
  tags: tags
}

resource replicaGroup 'Microsoft.Resources/resourceGroups@2024-03-01' = if (createSite) {
  name: replicaName
  location: location
  tags: tags
}

resource edgeGroup 'Microsoft.Resources/resourceGroups@2024-03-01' = if (createSite) {
  name: edgeName
  location: location
  tags: tags
}

module recoverySite 'site/site.bicep' = if (createSite) {
  // A subscription deployment keeps the region of its first run; another region needs another name.
  name: 'site-${plan}-${location}'
  params: {
    location: location
    tags: tags
    planName: plan
    recoveryGroupName: recoveryGroup.name
    replicaGroupName: replicaGroup.name
    edgeGroupName: edgeGroup.name
    profileName: profile
    primaryEndpointName: primaryEndpoint
    primaryAddress: primary
    primaryStatus: status(primaryStatus, 'COLDSITE_PRIMARY_STATUS', 'Enabled')
    recoveryStatus: status(recoveryStatus, 'COLDSITE_RECOVERY_STATUS', 'Disabled')
    functionsPrefix: functionsRange
    site: empty(site)
      ? fail('createSite needs a description of the site. Copy it from infra/contoso.parameters.json into infra/main.parameters.json.')
      : site
    vpnSharedKey: vpnSharedKey
    replicaPassword: replicaPassword
  }
}

module identities 'coldsite/identities.bicep' = {
  name: 'identities-${environmentName}'
  scope: coldsiteGroup
  params: { environmentName: environmentName, location: location, tags: tags }
}

module permissions 'coldsite/permissions.bicep' = {
  name: 'permissions-${environmentName}-${location}'
  params: {
    environmentName: environmentName
    token: token
    principalId: identities.outputs.recoveryPrincipalId
    recoveryGroupName: createSite ? recoveryGroup.name : recoveryName
    replicaGroupName: createSite ? replicaGroup.name : replicaName
    edgeGroupName: createSite ? edgeGroup.name : edgeName
    profileName: createSite ? recoverySite!.outputs.profileName : profile
  }
}

module network 'coldsite/network.bicep' = {
  name: 'network-${environmentName}'
  scope: coldsiteGroup
  params: {
    environmentName: environmentName
    location: location
    tags: tags
    prefix: empty(coldsiteNetworkPrefix) ? '10.250.0.0/24' : coldsiteNetworkPrefix
    functionsPrefix: functionsRange
    endpointsPrefix: empty(endpointsPrefix) ? '10.250.0.128/26' : endpointsPrefix
    failoverNetworkId: createSite ? recoverySite!.outputs.failoverNetworkId : failoverNetwork
    drillNetworkId: createSite ? recoverySite!.outputs.drillNetworkId : drillNetwork
    strictNetwork: strictNetwork
    useVpn: useVpn
  }
}

module storage 'coldsite/storage.bicep' = {
  name: 'storage-${environmentName}'
  scope: coldsiteGroup
  params: {
    token: token
    location: location
    tags: tags
    hostPrincipalId: identities.outputs.hostPrincipalId
    recoveryPrincipalId: identities.outputs.recoveryPrincipalId
    functionsSubnetId: network.outputs.functionsSubnetId
    endpointSubnetId: network.outputs.endpointSubnetId
    networkId: network.outputs.networkId
    strictNetwork: strictNetwork
    documentsLocked: documentsLocked
  }
}

module vault 'coldsite/vault.bicep' = {
  name: 'vault-${environmentName}'
  scope: coldsiteGroup
  params: {
    name: vaultName
    location: location
    tags: tags
    hostPrincipalId: identities.outputs.hostPrincipalId
    functionsSubnetId: network.outputs.functionsSubnetId
    endpointSubnetId: network.outputs.endpointSubnetId
    networkId: network.outputs.networkId
    strictNetwork: strictNetwork
    administratorAddresses: empty(administratorAddresses) ? [] : split(administratorAddresses, ',')
    sqlProbe: needed(sqlProbe, 'COLDSITE_SQL_PROBE', 'user:password of the login by which SQL Server is checked')
    notifyUrl: needed(notifyUrl, 'COLDSITE_NOTIFY_URL', 'the Apprise address for messages')
  }
}

module monitoring 'coldsite/monitoring.bicep' = {
  name: 'monitoring-${environmentName}'
  scope: coldsiteGroup
  params: {
    environmentName: environmentName
    location: location
    tags: tags
    hostPrincipalId: identities.outputs.hostPrincipalId
    recoveryPrincipalId: identities.outputs.recoveryPrincipalId
  }
}

module scheduler 'coldsite/scheduler.bicep' = if (taskScheduler) {
  name: 'scheduler-${environmentName}'
  scope: coldsiteGroup
  params: {
    environmentName: environmentName
    token: token
    location: location
    tags: tags
    hostPrincipalId: identities.outputs.hostPrincipalId
  }
}

module app 'coldsite/app.bicep' = {
  name: 'app-${environmentName}'
  scope: coldsiteGroup
  params: {
    name: 'func-coldsite-${token}'
    planName: 'asp-coldsite-${environmentName}'
    location: location
    tags: tags
    hostIdentityId: identities.outputs.hostIdentityId
    hostClientId: identities.outputs.hostClientId
    recoveryIdentityId: identities.outputs.recoveryIdentityId
    recoveryClientId: identities.outputs.recoveryClientId
    subnetId: network.outputs.functionsSubnetId
    hostBlobEndpoint: storage.outputs.hostBlobEndpoint
    hostQueueEndpoint: storage.outputs.hostQueueEndpoint
    hostTableEndpoint: storage.outputs.hostTableEndpoint
    packageContainer: storage.outputs.packageContainer
    historyTableEndpoint: storage.outputs.historyTableEndpoint
    documentsEndpoint: storage.outputs.documentsEndpoint
    applicationInsights: monitoring.outputs.connectionString
    workspaceId: monitoring.outputs.workspaceGuid
    signInClientId: clientId
    sqlProbeUri: vault.outputs.sqlProbeUri
    notifyUri: vault.outputs.notifyUri
    primaryAddress: primary
    recoveryAddress: createSite
      ? recoverySite!.outputs.recoveryAddress
      : needed(recoveryAddress, 'COLDSITE_RECOVERY_ADDRESS', 'the recovery site\'s own public address')
    observerAddress: empty(observerAddress) ? 'www.msftconnecttest.com' : observerAddress
    moreSettings: toObject(
      empty(moreSettings) ? [] : split(moreSettings, ' '),
      name => name,
      name => '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${toLower(replace(name, '_', '-'))})'
    )
    alwaysReady: alwaysReady
    schedulerEndpoint: taskScheduler ? scheduler!.outputs.endpoint : ''
    schedulerHub: taskScheduler ? scheduler!.outputs.hubName : ''
  }
}

module alerts 'coldsite/alerts.bicep' = {
  name: 'alerts-${environmentName}'
  scope: coldsiteGroup
  params: {
    environmentName: environmentName
    location: location
    tags: tags
    planName: plan
    appUrl: app.outputs.url
    signInClientId: clientId
    signInObjectId: needed(signInObjectId, 'COLDSITE_APP_OBJECT', 'the object id of the app registration')
    operatorEmail: needed(
      operatorEmail,
      'COLDSITE_OPERATOR_EMAIL',
      'the address that is written to when Coldsite fails'
    )
    heartbeatComputer: heartbeatComputer
    profileId: createSite
      ? recoverySite!.outputs.profileId
      : '${subscription().id}/resourceGroups/${edgeName}/providers/Microsoft.Network/trafficManagerProfiles/${profile}'
    primaryEndpointName: primaryEndpoint
    workspaceId: monitoring.outputs.workspaceId
  }
}

output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = tenant().tenantId
output COLDSITE_URL string = app.outputs.url
output COLDSITE_APP string = clientId
output COLDSITE_PLAN string = plan
output AZURE_RESOURCE_GROUP string = coldsiteGroup.name
output COLDSITE_RECOVERY_GROUP string = '${subscription().id}/resourceGroups/${recoveryName}'
output COLDSITE_SITE object = createSite ? recoverySite!.outputs.plan : {}
