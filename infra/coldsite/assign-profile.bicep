// Assigns one role on one Traffic Manager profile and nothing else.
param roleDefinitionId string
param principalId string
param profileName string

resource profile 'Microsoft.Network/trafficManagerProfiles@2022-04-01' existing = {
  name: profileName
}

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(profile.id, roleDefinitionId, principalId)
  scope: profile
  properties: { roleDefinitionId: roleDefinitionId, principalId: principalId, principalType: 'ServicePrincipal' }
}
