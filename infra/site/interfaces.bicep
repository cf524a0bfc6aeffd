// Network interfaces without machines. They are free, and fix each machine's address before it exists.
param location string
param tags object
param planName string
param failoverSubnetId string
param drillSubnetId string

@description('name, failoverAddress and drillAddress of each machine.')
param workloads array

@description('The machine that customers reach.')
param publicWorkload string

@description('The chosen part of the public address\'s DNS name in this region; letters derived from the subscription make it unique.')
param domainNameLabel string

// It is permanent, so the Traffic Manager profile can refer to it from the beginning.
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
    // checkov:skip=CKV_AZURE_119:One machine serves customers, on port 443 alone; the rules of its subnet deny
    // everything else.
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
