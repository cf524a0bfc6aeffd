// Two accounts without keys: one for the host, one for the history, which must outlive every deployment.
param token string
param location string
param tags object
param hostPrincipalId string
param recoveryPrincipalId string
param functionsSubnetId string
param endpointSubnetId string
param networkId string

@description('Whether the accounts are reachable by private endpoints only. Otherwise only from the functions\' own subnet.')
param strictNetwork bool

@description('Whether the retention policy of the documents of ended runs is locked; a locked policy cannot be written again.')
param documentsLocked bool

var blobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var queueDataContributor = '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
var tableDataContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
var suffix = environment().suffixes.storage
var publicAccess = strictNetwork ? 'Disabled' : 'Enabled'
var ownSubnet = strictNetwork ? [] : [{ id: functionsSubnetId, action: 'Allow' }]

resource host 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  // checkov:skip=CKV_AZURE_43:The name is made of lower-case letters and digits, at most 24; the check cannot evaluate it.
  // checkov:skip=CKV_AZURE_206:Zone-redundant: it must be where Coldsite recovers, and a copy elsewhere could not be reached from there.
  name: 'stcoldhost${take(token, 13)}'
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_ZRS' }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: publicAccess
    allowCrossTenantReplication: false
    networkAcls: { defaultAction: 'Deny', bypass: 'AzureServices', virtualNetworkRules: ownSubnet }
  }
}

resource hostBlobs 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' = {
  parent: host
  name: 'default'
  properties: { deleteRetentionPolicy: { enabled: true, days: 7 } }
}

resource package 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = {
  parent: hostBlobs
  name: 'package'
  properties: { publicAccess: 'None' }
}

resource history 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  // checkov:skip=CKV_AZURE_43:The name is made of lower-case letters and digits, at most 24; the check cannot evaluate it.
  // checkov:skip=CKV_AZURE_206:Zone-redundant: it must be where Coldsite recovers, and a copy elsewhere could not be reached from there.
  name: 'stcoldhist${take(token, 13)}'
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_ZRS' }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: publicAccess
    allowCrossTenantReplication: false
    networkAcls: { defaultAction: 'Deny', bypass: 'AzureServices', virtualNetworkRules: ownSubnet }
  }
}

resource historyBlobs 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' = {
  parent: history
  name: 'default'
  properties: {
    isVersioningEnabled: true
    deleteRetentionPolicy: { enabled: true, days: 90 }
    containerDeleteRetentionPolicy: { enabled: true, days: 90 }
  }
}

resource documents 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = {
  parent: historyBlobs
  name: 'documents'
  properties: { publicAccess: 'None' }
}

// Created unlocked, so that a test installation can be removed; docs/security.md says how to lock it for good.
resource documentsStay 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2024-01-01' = if (!documentsLocked) {
  parent: documents
  name: 'default'
  properties: { immutabilityPeriodSinceCreationInDays: 2555, allowProtectedAppendWrites: false }
}

resource historyIsKept 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'history-is-kept'
  scope: history
  properties: { level: 'CanNotDelete', notes: 'The history of every failover and drill, with the document of each.' }
}

resource hostBlobRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(host.id, hostPrincipalId, blobDataOwner)
  scope: host
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataOwner)
    principalId: hostPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource hostQueueRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(host.id, hostPrincipalId, queueDataContributor)
  scope: host
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', queueDataContributor)
    principalId: hostPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource hostTableRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(host.id, hostPrincipalId, tableDataContributor)
  scope: host
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', tableDataContributor)
    principalId: hostPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource historyTableRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(history.id, recoveryPrincipalId, tableDataContributor)
  scope: history
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', tableDataContributor)
    principalId: recoveryPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource documentsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(documents.id, recoveryPrincipalId, blobDataContributor)
  scope: documents
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
    principalId: recoveryPrincipalId
    principalType: 'ServicePrincipal'
  }
}

var privateParts = strictNetwork ? ['blob', 'queue', 'table'] : []

module zones 'private-zone.bicep' = [
  for part in privateParts: {
    name: 'zone-${part}'
    params: { name: 'privatelink.${part}.${suffix}', tags: tags, networkId: networkId }
  }
]

module hostEndpoints 'private-endpoint.bicep' = [
  for (part, number) in privateParts: {
    name: 'endpoint-host-${part}'
    params: {
      name: 'pep-${host.name}-${part}'
      location: location
      tags: tags
      serviceId: host.id
      part: part
      zoneName: zones[number].outputs.name
      subnetId: endpointSubnetId
    }
  }
]

module historyTables 'private-endpoint.bicep' = if (strictNetwork) {
  name: 'endpoint-history-table'
  params: {
    name: 'pep-${history.name}-table'
    location: location
    tags: tags
    serviceId: history.id
    part: 'table'
    zoneName: zones[2].outputs.name
    subnetId: endpointSubnetId
  }
}

module historyDocuments 'private-endpoint.bicep' = if (strictNetwork) {
  name: 'endpoint-history-blob'
  params: {
    name: 'pep-${history.name}-blob'
    location: location
    tags: tags
    serviceId: history.id
    part: 'blob'
    zoneName: zones[0].outputs.name
    subnetId: endpointSubnetId
  }
}

output hostBlobEndpoint string = host.properties.primaryEndpoints.blob
output hostQueueEndpoint string = host.properties.primaryEndpoints.queue
output hostTableEndpoint string = host.properties.primaryEndpoints.table
output packageContainer string = '${host.properties.primaryEndpoints.blob}${package.name}'
output historyTableEndpoint string = history.properties.primaryEndpoints.table
output documentsEndpoint string = '${history.properties.primaryEndpoints.blob}${documents.name}'
