// The recovery site, where none exists yet: two networks, the gateway, the Double-Take machine with its
// disks, the interfaces that fix every address, and the Traffic Manager profile. No recovery machine: a failover
// creates those.
targetScope = 'subscription'

param location string
param tags object
param planName string
param recoveryGroupName string
param replicaGroupName string
param edgeGroupName string
param profileName string
param primaryEndpointName string
param primaryAddress string
param primaryStatus string
param recoveryStatus string

@description('Address range of Coldsite\'s functions; the drill network admits no other.')
param functionsPrefix string
param site object

@secure()
param vpnSharedKey string

@secure()
param replicaPassword string

// Traffic Manager refuses a profile in which one external endpoint is a name and the other an address.
var primaryIsAName = toLower(primaryAddress) != toUpper(primaryAddress) && !contains(primaryAddress, ':')

module networks 'networks.bicep' = {
  name: 'networks-${planName}'
  scope: resourceGroup(recoveryGroupName)
  params: {
    location: location
    tags: tags
    planName: planName
    functionsPrefix: functionsPrefix
    networks: site.networks
    primaryNetwork: site.primaryNetwork
    workloads: site.workloads
    edgeGroupName: edgeGroupName
  }
}

module gateway 'gateway.bicep' = {
  name: 'gateway-${planName}'
  scope: resourceGroup(recoveryGroupName)
  params: {
    location: location
    tags: tags
    planName: planName
    networkName: networks.outputs.failoverNetworkName
    primaryNetwork: site.primaryNetwork
    sharedKey: vpnSharedKey
  }
}

module interfaces 'interfaces.bicep' = {
  name: 'interfaces-${planName}'
  scope: resourceGroup(recoveryGroupName)
  params: {
    location: location
    tags: tags
    planName: planName
    failoverSubnetId: networks.outputs.failoverSubnetId
    drillSubnetId: networks.outputs.drillSubnetId
    workloads: site.workloads
    publicWorkload: site.publicWorkload
    domainNameLabel: '${planName}-${take(uniqueString(subscription().id, planName, location), 6)}'
  }
}

module replica 'replica.bicep' = {
  name: 'replica-${planName}'
  scope: resourceGroup(replicaGroupName)
  params: {
    location: location
    tags: tags
    subnetId: networks.outputs.replicaSubnetId
    machine: site.replica
    disks: site.disks
    password: replicaPassword
  }
}

module traffic 'traffic.bicep' = {
  name: 'traffic-${planName}'
  scope: resourceGroup(edgeGroupName)
  params: {
    tags: tags
    profileName: profileName
    primaryEndpointName: primaryEndpointName
    primaryAddress: primaryAddress
    primaryStatus: primaryStatus
    recoveryStatus: recoveryStatus
    recoveryAddress: primaryIsAName ? interfaces.outputs.publicName : (interfaces.outputs.publicAddress)
    settings: site.traffic
  }
}

output profileId string = traffic.outputs.profileId
output profileName string = traffic.outputs.profileName
output failoverNetworkId string = networks.outputs.failoverNetworkId
output drillNetworkId string = networks.outputs.drillNetworkId
output recoveryAddress string = interfaces.outputs.publicAddress

// The data of this site that a recovery plan needs.
output plan object = {
  name: planName
  location: location
  traffic: {
    profile: traffic.outputs.profileId
    hostname: traffic.outputs.hostname
    primary: { endpoint: primaryEndpointName, type: 'externalEndpoints' }
    recovery: { endpoint: site.traffic.recoveryEndpointName, type: 'externalEndpoints' }
  }
  replication: { machine: replica.outputs.machineId }
  resource_group: '${subscription().id}/resourceGroups/${recoveryGroupName}'
  workloads: interfaces.outputs.workloads
  disks: replica.outputs.disks
}
