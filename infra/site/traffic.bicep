// The customers' destination. The recovery endpoint is disabled until a failover enables it and disables the primary's.
//
// Detection, worked out: a probe every interval; the endpoint is degraded on the failure after the tolerated ones. With
// an interval of 10 s, 2 tolerated and a time-out of 5 s that is 2 x 10 + 5 = 25 s after the first failed probe, which
// itself may come 10 s after the site went down; customers' name servers keep an answer for the TTL. With Azure's own
// defaults (30 s, 3 tolerated, 10 s) it is 100 s, and costs less. Source:
// MicrosoftDocs/azure-docs:articles/traffic-manager/traffic-manager-monitoring.md
param tags object
param profileName string
param primaryEndpointName string
param primaryAddress string

@description('Whether each endpoint is Enabled or Disabled. A deployment must not move customers, so it is given their current status.')
param primaryStatus string
param recoveryStatus string
param recoveryAddress string

@description('relativeName, host, path, ttl, interval, timeout, tolerated and recoveryEndpointName.')
param settings object

resource profile 'Microsoft.Network/trafficManagerProfiles@2022-04-01' = {
  name: profileName
  location: 'global'
  tags: tags
  properties: {
    profileStatus: 'Enabled'
    trafficRoutingMethod: 'Priority'
    dnsConfig: { relativeName: settings.relativeName, ttl: settings.ttl }
    monitorConfig: {
      protocol: 'HTTPS'
      port: 443
      path: settings.path
      intervalInSeconds: settings.interval
      timeoutInSeconds: settings.timeout
      toleratedNumberOfFailures: settings.tolerated
      customHeaders: [{ name: 'host', value: settings.host }]
    }
    endpoints: [
      {
        name: primaryEndpointName
        type: 'Microsoft.Network/trafficManagerProfiles/externalEndpoints'
        properties: { target: primaryAddress, endpointStatus: primaryStatus, priority: 1 }
      }
      {
        name: settings.recoveryEndpointName
        type: 'Microsoft.Network/trafficManagerProfiles/externalEndpoints'
        properties: { target: recoveryAddress, endpointStatus: recoveryStatus, priority: 2 }
      }
    ]
  }
}

output profileId string = profile.id
output profileName string = profile.name
output hostname string = profile.properties.dnsConfig.fqdn
