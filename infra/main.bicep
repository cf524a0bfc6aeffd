// Coldsite in a subscription of yours. By default only Coldsite itself, beside a recovery site that exists already;
// with createSite also the recovery site: networks, gateway, Double-Take machine, interfaces, Traffic Manager.
//
// Names: kind-coldsite-ENVIRONMENT for what is Coldsite's own (func-, id-, kv-, log-, vnet-, ...; where a name must be unique
// in the world, letters that depend on the subscription stand for the environment), kind-PLAN for the recovery site, and
// WORKLOAD-failover and WORKLOAD-drill for the interfaces. Everything carries the tags application, plan and azd-env-name.
targetScope = 'subscription'

@description('Names everything of this deployment; azd asks for it.')
@minLength(1)
@maxLength(20)
param environmentName string

@description('The recovery region. Coldsite lives there too: it must survive the primary site.')
@metadata({ azd: { type: 'location' } })
param location string

@description('The recovery plan that this deployment protects; the name of its file in plans/.')
param planName string

@description('Resource group in which machines are built at a failover and in a drill. Nothing else should be in it.')
param recoveryGroupName string = '${planName}-recovery'

@description('Resource group of the Double-Take machine and its disks.')
param replicaGroupName string = '${planName}-replica'

@description('Resource group of the Traffic Manager profile.')
param edgeGroupName string = '${planName}-edge'

@description('Name of the Traffic Manager profile.')
param profileName string = planName

@description('Name of the primary site\'s endpoint in the profile.')
param primaryEndpointName string = 'on-premises'

@description('Resource id of the network in which recovered machines serve. Empty when createSite makes it.')
param failoverNetworkId string = ''

@description('Resource id of the isolated network for drills. Empty when createSite makes it.')
param drillNetworkId string = ''

@description('Whether the failover network has a VPN gateway, which Coldsite then uses to look at the primary site.')
param useVpn bool = true

@description('Client id of the app registration by which people sign in; infra/hooks/sign-in.ps1 makes it.')
param signInClientId string

@description('Object id of the same registration, which Azure Monitor asks for when it sends alerts with a token.')
param signInObjectId string

@description('Name of the server whose agent\'s silence wakes Coldsite, as Log Analytics knows it. Empty when there is no agent.')
param heartbeatComputer string = ''

@description('Who is written to when something needs a person.')
param operatorEmail string

@description('Address ranges from which administrators change secrets in the vault; none closes it to all but Coldsite.')
param administratorAddresses array = []

@description('user:password by which SQL Server is asked whether it is well; a login that may connect, and read one table for the age of the data.')
@secure()
param sqlProbe string

@description('Where people are told, as an Apprise address: Teams, Slack, e-mail and many more.')
@secure()
param notifyUrl string

@description('The primary site\'s own public address, not the name that customers use.')
param primaryAddress string

@description('The recovery site\'s own public address. Empty when createSite makes it.')
param recoveryAddress string = ''

@description('Something outside the primary site that is always there, by which Coldsite knows that it is not cut off itself.')
param observerAddress string

@description('Keeps one instance warm for alerts and one for recoveries. It costs more at rest, and saves the cold start.')
param alwaysReady bool = false

@description('Address range of Coldsite\'s own small network; it must overlap with no network of the sites.')
param coldsiteNetworkPrefix string = '10.250.0.0/24'

@description('The part of it for the functions; at least a /27.')
param functionsPrefix string = '10.250.0.0/25'

@description('The part of it for private endpoints.')
param endpointsPrefix string = '10.250.0.128/26'

@description('Whether to make the recovery site as well, for those who start from nothing.')
param createSite bool = false

@description('How the endpoints are now, so that a deployment after a failover leaves customers where they are; infra/hooks/before.ps1 asks.')
@allowed(['Enabled', 'Disabled'])
param primaryStatus string = 'Enabled'

@allowed(['Enabled', 'Disabled'])
param recoveryStatus string = 'Disabled'

@description('The recovery site\'s description; see infra/contoso.parameters.json for a whole one.')
param site object = {}

@description('The shared key of the VPN connection. Only with createSite.')
@secure()
param vpnSharedKey string = ''

@description('The administrator\'s password on the Double-Take machine. Only with createSite.')
@secure()
param replicaPassword string = ''

var tags = { 'azd-env-name': environmentName, application: 'coldsite', plan: planName }
var token = toLower(uniqueString(subscription().id, environmentName, location))

resource coldsiteGroup 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-coldsite-${environmentName}'
  location: location
  tags: tags
}

resource recoveryGroup 'Microsoft.Resources/resourceGroups@2024-03-01' = if (createSite) {
  name: recoveryGroupName
  location: location
  tags: tags
}

resource replicaGroup 'Microsoft.Resources/resourceGroups@2024-03-01' = if (createSite) {
  name: replicaGroupName
  location: location
  tags: tags
}

resource edgeGroup 'Microsoft.Resources/resourceGroups@2024-03-01' = if (createSite) {
  name: edgeGroupName
  location: location
  tags: tags
}

module recoverySite 'site/site.bicep' = if (createSite) {
  name: 'site-${planName}'
  params: {
    location: location
    tags: tags
    planName: planName
    recoveryGroupName: recoveryGroup.name
    replicaGroupName: replicaGroup.name
    edgeGroupName: edgeGroup.name
    profileName: profileName
    primaryEndpointName: primaryEndpointName
    primaryAddress: primaryAddress
    primaryStatus: primaryStatus
    recoveryStatus: recoveryStatus
    functionsPrefix: functionsPrefix
    site: site
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
  name: 'permissions-${environmentName}'
  params: {
    environmentName: environmentName
    token: token
    principalId: identities.outputs.recoveryPrincipalId
    recoveryGroupName: createSite ? recoveryGroup.name : recoveryGroupName
    replicaGroupName: createSite ? replicaGroup.name : replicaGroupName
    edgeGroupName: createSite ? edgeGroup.name : edgeGroupName
    profileName: createSite ? recoverySite.outputs.profileName : profileName
  }
}

module network 'coldsite/network.bicep' = {
  name: 'network-${environmentName}'
  scope: coldsiteGroup
  params: {
    environmentName: environmentName
    location: location
    tags: tags
    prefix: coldsiteNetworkPrefix
    functionsPrefix: functionsPrefix
    endpointsPrefix: endpointsPrefix
    failoverNetworkId: createSite ? recoverySite.outputs.failoverNetworkId : failoverNetworkId
    drillNetworkId: createSite ? recoverySite.outputs.drillNetworkId : drillNetworkId
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
    endpointSubnetId: network.outputs.endpointSubnetId
    networkId: network.outputs.networkId
  }
}

module vault 'coldsite/vault.bicep' = {
  name: 'vault-${environmentName}'
  scope: coldsiteGroup
  params: {
    token: token
    location: location
    tags: tags
    hostPrincipalId: identities.outputs.hostPrincipalId
    endpointSubnetId: network.outputs.endpointSubnetId
    networkId: network.outputs.networkId
    administratorAddresses: administratorAddresses
    sqlProbe: sqlProbe
    notifyUrl: notifyUrl
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
    sealsEndpoint: storage.outputs.sealsEndpoint
    applicationInsights: monitoring.outputs.connectionString
    workspaceId: monitoring.outputs.workspaceGuid
    signInClientId: signInClientId
    sqlProbeUri: vault.outputs.sqlProbeUri
    notifyUri: vault.outputs.notifyUri
    primaryAddress: primaryAddress
    recoveryAddress: createSite ? recoverySite.outputs.recoveryAddress : recoveryAddress
    observerAddress: observerAddress
    alwaysReady: alwaysReady
  }
}

module alerts 'coldsite/alerts.bicep' = {
  name: 'alerts-${environmentName}'
  scope: coldsiteGroup
  params: {
    environmentName: environmentName
    location: location
    tags: tags
    planName: planName
    appUrl: app.outputs.url
    signInClientId: signInClientId
    signInObjectId: signInObjectId
    operatorEmail: operatorEmail
    heartbeatComputer: heartbeatComputer
    profileId: createSite ? recoverySite.outputs.profileId : '${subscription().id}/resourceGroups/${edgeGroupName}/providers/Microsoft.Network/trafficManagerProfiles/${profileName}'
    primaryEndpointName: primaryEndpointName
    workspaceId: monitoring.outputs.workspaceId
  }
}

output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = tenant().tenantId
output COLDSITE_URL string = app.outputs.url
output COLDSITE_APP string = signInClientId
output COLDSITE_PLAN string = planName
output COLDSITE_RECOVERY_GROUP string = '${subscription().id}/resourceGroups/${recoveryGroupName}'
output COLDSITE_SITE object = createSite ? recoverySite.outputs.plan : {}
