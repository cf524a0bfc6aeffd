// Coldsite's own network: Azure's DNS, outbound access, and routes to the sites. It neither resolves names nor reaches
// the Internet through the primary site, so it works when that site is down.
param environmentName string
param location string
param tags object

@description('Coldsite\'s own range, and its two subnets: one for the functions (at least /27), one for private endpoints.')
param prefix string
param functionsPrefix string
param endpointsPrefix string
param failoverNetworkId string
param drillNetworkId string

@description('Whether to probe the primary site through the failover network\'s VPN gateway.')
param useVpn bool

@description('Whether all outbound traffic uses a fixed address. Otherwise Azure assigns the functions one, free of charge.')
param strictNetwork bool

resource outboundAddress 'Microsoft.Network/publicIPAddresses@2024-05-01' = if (strictNetwork) {
  name: 'pip-coldsite-${environmentName}'
  location: location
  tags: tags
  sku: { name: 'Standard', tier: 'Regional' }
  properties: { publicIPAllocationMethod: 'Static', publicIPAddressVersion: 'IPv4' }
}

resource wayOut 'Microsoft.Network/natGateways@2024-05-01' = if (strictNetwork) {
  name: 'ng-coldsite-${environmentName}'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: { publicIpAddresses: [{ id: outboundAddress.id }], idleTimeoutInMinutes: 4 }
}

resource routes 'Microsoft.Network/routeTables@2024-05-01' = {
  name: 'rt-coldsite-${environmentName}'
  location: location
  tags: tags
  properties: {
    disableBgpRoutePropagation: false
    routes: [
      {
        // A default route that the primary site advertises must not become Coldsite's route to Azure.
        name: 'internet-directly'
        properties: { addressPrefix: '0.0.0.0/0', nextHopType: 'Internet' }
      }
    ]
  }
}

resource functionsRules 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: 'nsg-coldsite-functions-${environmentName}'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'deny-all-inbound'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: 'VirtualNetwork'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource endpointsRules 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: 'nsg-coldsite-endpoints-${environmentName}'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'functions-only'
        properties: {
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: functionsPrefix
          sourcePortRange: '*'
          destinationAddressPrefix: endpointsPrefix
          destinationPortRange: '443'
        }
      }
      {
        name: 'deny-everything-else'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: 'VirtualNetwork'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: 'vnet-coldsite-${environmentName}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [prefix] }
    subnets: [
      {
        name: 'functions'
        properties: {
          addressPrefix: functionsPrefix
          networkSecurityGroup: { id: functionsRules.id }
          natGateway: strictNetwork ? { id: wayOut.id } : null
          routeTable: { id: routes.id }
          serviceEndpoints: strictNetwork ? [] : [{ service: 'Microsoft.Storage' }, { service: 'Microsoft.KeyVault' }]
          defaultOutboundAccess: !strictNetwork
          delegations: [{ name: 'functions', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: endpointsPrefix
          networkSecurityGroup: { id: endpointsRules.id }
          privateEndpointNetworkPolicies: 'Enabled'
          defaultOutboundAccess: false
        }
      }
    ]
  }
}

module toFailover 'peering.bicep' = {
  name: 'peering-failover-${environmentName}'
  params: {
    name: 'coldsite-to-failover'
    networkName: network.name
    remoteNetworkId: failoverNetworkId
    useRemoteGateways: useVpn
    allowGatewayTransit: false
  }
  // A gateway can be used only when the other side already shares it.
  dependsOn: [fromFailover]
}

module fromFailover 'peering.bicep' = {
  name: 'peering-from-failover-${environmentName}'
  scope: resourceGroup(split(failoverNetworkId, '/')[2], split(failoverNetworkId, '/')[4])
  params: {
    name: 'failover-to-coldsite'
    networkName: last(split(failoverNetworkId, '/'))
    remoteNetworkId: network.id
    useRemoteGateways: false
    allowGatewayTransit: useVpn
  }
}

module toDrill 'peering.bicep' = {
  name: 'peering-drill-${environmentName}'
  params: {
    name: 'coldsite-to-drill'
    networkName: network.name
    remoteNetworkId: drillNetworkId
    useRemoteGateways: false
    allowGatewayTransit: false
  }
  dependsOn: [fromDrill]
}

module fromDrill 'peering.bicep' = {
  name: 'peering-from-drill-${environmentName}'
  scope: resourceGroup(split(drillNetworkId, '/')[2], split(drillNetworkId, '/')[4])
  params: {
    name: 'drill-to-coldsite'
    networkName: last(split(drillNetworkId, '/'))
    remoteNetworkId: network.id
    useRemoteGateways: false
    allowGatewayTransit: false
  }
  // In sequence: two peerings of one network that are created at the same time conflict.
  dependsOn: [toFailover]
}

output networkId string = network.id
output functionsSubnetId string = '${network.id}/subnets/functions'
output endpointSubnetId string = '${network.id}/subnets/endpoints'
output outboundAddress string = strictNetwork ? outboundAddress!.properties.ipAddress : ''
