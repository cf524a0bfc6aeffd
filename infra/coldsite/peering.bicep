// One direction of a peering between two networks.
param name string
param networkName string
param remoteNetworkId string
param useRemoteGateways bool
param allowGatewayTransit bool

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' existing = {
  name: networkName
}

resource peering 'Microsoft.Network/virtualNetworks/virtualNetworkPeerings@2024-05-01' = {
  parent: network
  name: name
  properties: {
    remoteVirtualNetwork: { id: remoteNetworkId }
    allowVirtualNetworkAccess: true
    allowForwardedTraffic: false
    allowGatewayTransit: allowGatewayTransit
    useRemoteGateways: useRemoteGateways
  }
}
