// The two secrets that Coldsite needs, referenced by the app and never copied into its settings.
param name string
param location string
param tags object
param hostPrincipalId string
param functionsSubnetId string
param endpointSubnetId string
param networkId string

@description('Whether the vault is reachable by a private endpoint only. Otherwise only from the functions\' own subnet.')
param strictNetwork bool

param administratorAddresses array

@secure()
param sqlProbe string

@secure()
param notifyUrl string

var publicAccess = strictNetwork && empty(administratorAddresses) ? 'Disabled' : 'Enabled'
var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    // checkov:skip=CKV_AZURE_189:Closed to the Internet except for addresses that administrators name in order to
    // change a password; the default action denies all others.
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    publicNetworkAccess: publicAccess
    networkAcls: {
      defaultAction: 'Deny'
      bypass: 'AzureServices'
      virtualNetworkRules: strictNetwork ? [] : [{ id: functionsSubnetId }]
      ipRules: [for address in administratorAddresses: { value: address }]
    }
  }
}

resource sqlProbeSecret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  // checkov:skip=CKV_AZURE_41:An expired database login would leave a failover without a verified SQL Server;
  // docs/security.md says how to change it by hand.
  parent: vault
  name: 'sql-probe'
  properties: { value: sqlProbe, contentType: 'user:password of the login that asks SQL Server whether it is well' }
}

resource notifySecret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  // checkov:skip=CKV_AZURE_41:An expired notification address would silence Coldsite in a disaster.
  parent: vault
  name: 'notify-url'
  properties: { value: notifyUrl, contentType: 'Apprise address' }
}

resource hostReads 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, hostPrincipalId, secretsUser)
  scope: vault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
    principalId: hostPrincipalId
    principalType: 'ServicePrincipal'
  }
}

module zone 'private-zone.bicep' = if (strictNetwork) {
  name: 'zone-vault'
  params: { name: 'privatelink.vaultcore.azure.net', tags: tags, networkId: networkId }
}

module endpoint 'private-endpoint.bicep' = if (strictNetwork) {
  name: 'endpoint-vault'
  params: {
    name: 'pep-${vault.name}'
    location: location
    tags: tags
    serviceId: vault.id
    part: 'vault'
    zoneName: zone!.outputs.name
    subnetId: endpointSubnetId
  }
}

output sqlProbeUri string = sqlProbeSecret.properties.secretUri
output notifyUri string = notifySecret.properties.secretUri
