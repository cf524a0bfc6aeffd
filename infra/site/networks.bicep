// Two networks that are never connected: one for recovered machines, one for drills, without outbound traffic.
param location string
param tags object
param planName string
param functionsPrefix string

@description('failover, drill, machines, replica, gateway and drillMachines: the address ranges.')
param networks object

@description('domain: the DNS domain of the machines.')
param primaryNetwork object

@description('The machines, with their names and addresses in both networks.')
param workloads array

@description('Resource group that holds the drill network\'s names.')
param edgeGroupName string

resource outboundAddress 'Microsoft.Network/publicIPAddresses@2024-05-01' = {
  name: 'pip-${planName}-outbound'
  location: location
  tags: tags
  sku: { name: 'Standard', tier: 'Regional' }
  properties: { publicIPAllocationMethod: 'Static', publicIPAddressVersion: 'IPv4' }
}

resource wayOut 'Microsoft.Network/natGateways@2024-05-01' = {
  name: 'ng-${planName}'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: { publicIpAddresses: [{ id: outboundAddress.id }], idleTimeoutInMinutes: 4 }
}

resource failoverRules 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: 'nsg-${planName}-failover'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'customers'
        properties: {
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'Internet'
          sourcePortRange: '*'
          destinationAddressPrefix: networks.machines
          destinationPortRange: '443'
        }
      }
    ]
  }
}

resource replicaRules 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: 'nsg-${planName}-replica'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'recovered-machines-stay-away'
        properties: {
          priority: 4000
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: networks.machines
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource drillRules 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: 'nsg-${planName}-drill'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'coldsite-asks'
        properties: {
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: functionsPrefix
          sourcePortRange: '*'
          destinationAddressPrefix: networks.drillMachines
          destinationPortRanges: ['80', '443', '1433']
        }
      }
      {
        name: 'machines-among-themselves'
        properties: {
          priority: 110
          direction: 'Inbound'
          access: 'Allow'
          protocol: '*'
          sourceAddressPrefix: networks.drillMachines
          sourcePortRange: '*'
          destinationAddressPrefix: networks.drillMachines
          destinationPortRange: '*'
        }
      }
      {
        name: 'deny-everything-else'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
      {
        name: 'machines-to-each-other'
        properties: {
          priority: 100
          direction: 'Outbound'
          access: 'Allow'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: networks.drillMachines
          destinationPortRange: '*'
        }
      }
      {
        name: 'nothing-gets-out'
        properties: {
          priority: 4096
          direction: 'Outbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource failover 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: 'vnet-${planName}-failover'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [networks.failover] }
    subnets: [
      {
        name: 'machines'
        properties: {
          addressPrefix: networks.machines
          networkSecurityGroup: { id: failoverRules.id }
          natGateway: { id: wayOut.id }
          defaultOutboundAccess: false
        }
      }
      {
        name: 'replica'
        properties: {
          addressPrefix: networks.replica
          networkSecurityGroup: { id: replicaRules.id }
          natGateway: { id: wayOut.id }
          defaultOutboundAccess: false
        }
      }
      { name: 'GatewaySubnet', properties: { addressPrefix: networks.gateway } }
    ]
  }
}

resource drill 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: 'vnet-${planName}-drill'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [networks.drill] }
    subnets: [
      {
        name: 'machines'
        properties: {
          addressPrefix: networks.drillMachines
          networkSecurityGroup: { id: drillRules.id }
          defaultOutboundAccess: false
        }
      }
    ]
  }
}

// The same names in both networks, each resolving to that network's own machines: a drill never finds the real ones.
// Two zones of one name need two resource groups.
module failoverNames 'names.bicep' = {
  name: 'names-${planName}-failover'
  params: {
    tags: tags
    zoneName: primaryNetwork.domain
    networkId: failover.id
    workloads: workloads
    drill: false
  }
}

module drillNames 'names.bicep' = {
  name: 'names-${planName}-drill'
  scope: resourceGroup(edgeGroupName)
  params: {
    tags: tags
    zoneName: primaryNetwork.domain
    networkId: drill.id
    workloads: workloads
    drill: true
  }
}

output failoverNetworkName string = failover.name
output failoverNetworkId string = failover.id
output failoverSubnetId string = '${failover.id}/subnets/machines'
output replicaSubnetId string = '${failover.id}/subnets/replica'
output drillNetworkId string = drill.id
output drillSubnetId string = '${drill.id}/subnets/machines'
