// The VPN to the premises: it carries replication and Coldsite's probes of the primary site.
param location string
param tags object
param planName string
param networkName string

@description('gatewayAddress and addressPrefixes of the premises.')
param primaryNetwork object

@secure()
param sharedKey string

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' existing = {
  name: networkName

  resource subnet 'subnets' existing = {
    name: 'GatewaySubnet'
  }
}

resource address 'Microsoft.Network/publicIPAddresses@2024-05-01' = {
  name: 'pip-${planName}-gateway'
  location: location
  tags: tags
  sku: { name: 'Standard', tier: 'Regional' }
  zones: ['1', '2', '3']
  properties: { publicIPAllocationMethod: 'Static', publicIPAddressVersion: 'IPv4' }
}

resource gateway 'Microsoft.Network/virtualNetworkGateways@2024-05-01' = {
  name: 'vgw-${planName}'
  location: location
  tags: tags
  properties: {
    gatewayType: 'Vpn'
    vpnType: 'RouteBased'
    vpnGatewayGeneration: 'Generation1'
    sku: { name: 'VpnGw1AZ', tier: 'VpnGw1AZ' }
    enableBgp: false
    activeActive: false
    ipConfigurations: [
      {
        name: 'gateway'
        properties: {
          privateIPAllocationMethod: 'Dynamic'
          subnet: { id: network::subnet.id }
          publicIPAddress: { id: address.id }
        }
      }
    ]
  }
}

resource premises 'Microsoft.Network/localNetworkGateways@2024-05-01' = {
  name: 'lgw-${planName}'
  location: location
  tags: tags
  properties: {
    gatewayIpAddress: primaryNetwork.gatewayAddress
    localNetworkAddressSpace: { addressPrefixes: primaryNetwork.addressPrefixes }
  }
}

resource connection 'Microsoft.Network/connections@2024-05-01' = {
  name: 'con-${planName}'
  location: location
  tags: tags
  properties: {
    connectionType: 'IPsec'
    connectionProtocol: 'IKEv2'
    sharedKey: sharedKey
    virtualNetworkGateway1: { id: gateway.id, properties: {} }
    localNetworkGateway2: { id: premises.id, properties: {} }
    enableBgp: false
  }
}

output address string = address.properties.ipAddress
