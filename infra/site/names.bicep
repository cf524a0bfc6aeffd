// The machines' names, resolved in one network only.
param tags object
param zoneName string
param networkId string
param workloads array

@description('Whether to answer with the addresses of the drill network.')
param drill bool

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: zoneName
  location: 'global'
  tags: tags
}

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = {
  parent: zone
  name: 'machines'
  location: 'global'
  tags: tags
  properties: { virtualNetwork: { id: networkId }, registrationEnabled: false }
}

resource hosts 'Microsoft.Network/privateDnsZones/A@2024-06-01' = [
  for workload in workloads: {
    parent: zone
    name: workload.host
    properties: {
      ttl: 60
      aRecords: [{ ipv4Address: drill ? workload.drillAddress : (workload.failoverAddress) }]
    }
  }
]
