// Two identities: the one that runs the host cannot change the site, and the one that recovers cannot read secrets.
param environmentName string
param location string
param tags object

resource host 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-coldsite-host-${environmentName}'
  location: location
  tags: tags
}

resource recovery 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-coldsite-recovery-${environmentName}'
  location: location
  tags: tags
}

output hostIdentityId string = host.id
output hostClientId string = host.properties.clientId
output hostPrincipalId string = host.properties.principalId
output recoveryIdentityId string = recovery.id
output recoveryClientId string = recovery.properties.clientId
output recoveryPrincipalId string = recovery.properties.principalId
