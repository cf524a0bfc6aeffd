// Network interfaces without machines. They cost nothing, and they fix each machine's address before it exists.
param location string
param tags object
param planName string
param failoverSubnetId string
param drillSubnetId string

@description('name, failoverAddress and drillAddress of each machine.')
param workloads array

@description('The machine that customers reach.')
param publicWorkload string

@description('The part of the public address\'s own name in this region that is chosen; with letters of the subscription it is unique.')
param domainNameLabel string

// It stays when machines come and go, so Traffic Manager can know it from the beginning.
resource publicAddress 'Microsoft.Network/publicIPAddresses@2024-05-01' = {
  name: 'pip-${planName}-recovery'
  location: location
  tags: tags
  sku: { name: 'Standard', tier: 'Regional' }
  properties: {
    publicIPAllocationMethod: 'Static'
    publicIPAddressVersion: 'IPv4'
    dnsSettings: { domainNameLabel: domainNameLabel }
  }
}

resource failover 'Microsoft.Network/networkInterfaces@2024-05-01' = [
  for workload in workloads: {
    // checkov:skip=CKV_AZURE_119:One machine serves customers, on port 443 alone; the rules of its subnet let in nothing else.
    name: '${workload.name}-failover'
    location: location
    tags: tags
    properties: {
      ipConfigurations: [
        {
          name: 'primary'
          properties: {
            privateIPAllocationMethod: 'Static'
            privateIPAddress: workload.failoverAddress
            subnet: { id: failoverSubnetId }
            publicIPAddress: workload.name == publicWorkload ? { id: publicAddress.id } : null
          }
        }
      ]
    }
  }
]

resource drill 'Microsoft.Network/networkInterfaces@2024-05-01' = [
  for workload in workloads: {
    name: '${workload.name}-drill'
    location: location
    tags: tags
    properties: {
      ipConfigurations: [
        {
          name: 'primary'
          properties: {
            privateIPAllocationMethod: 'Static'
            privateIPAddress: workload.drillAddress
            subnet: { id: drillSubnetId }
          }
        }
      ]
    }
  }
]

output publicAddress string = publicAddress.properties.ipAddress
output publicName string = publicAddress.properties.dnsSettings.fqdn
output workloads array = [
  for (workload, number) in workloads: {
    name: workload.name
    nic: { failover: failover[number].id, drill: drill[number].id }
    address: { failover: workload.failoverAddress, drill: workload.drillAddress }
  }
]
