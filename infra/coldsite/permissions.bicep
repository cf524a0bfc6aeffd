// The custom roles of infra/roles and their assignments: the lab enforces the deployed roles.
targetScope = 'subscription'

param environmentName string

@description('Makes the roles\' names unique in the directory.')
param token string

@description('Object id of the identity for recovery actions.')
param principalId string
param recoveryGroupName string
param replicaGroupName string
param edgeGroupName string
param profileName string

var here = subscription().id
var recovery = loadJsonContent('../roles/recovery.json')
var replica = loadJsonContent('../roles/replica.json')
var operations = loadJsonContent('../roles/subscription.json')
var traffic = loadJsonContent('../roles/traffic.json')

resource recoveryRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(here, environmentName, 'recovery')
  properties: {
    roleName: '${recovery.Name} (${environmentName} ${take(token, 5)})'
    description: recovery.Description
    type: 'CustomRole'
    permissions: [{ actions: recovery.Actions, notActions: [], dataActions: [], notDataActions: [] }]
    assignableScopes: ['${here}/resourceGroups/${recoveryGroupName}']
  }
}

resource replicaRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(here, environmentName, 'replica')
  properties: {
    roleName: '${replica.Name} (${environmentName} ${take(token, 5)})'
    description: replica.Description
    type: 'CustomRole'
    permissions: [{ actions: replica.Actions, notActions: [], dataActions: [], notDataActions: [] }]
    assignableScopes: ['${here}/resourceGroups/${replicaGroupName}']
  }
}

resource operationsRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(here, environmentName, 'subscription')
  properties: {
    roleName: '${operations.Name} (${environmentName} ${take(token, 5)})'
    description: operations.Description
    type: 'CustomRole'
    permissions: [{ actions: operations.Actions, notActions: [], dataActions: [], notDataActions: [] }]
    assignableScopes: [here]
  }
}

resource trafficRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(here, environmentName, 'traffic')
  properties: {
    roleName: '${traffic.Name} (${environmentName} ${take(token, 5)})'
    description: traffic.Description
    type: 'CustomRole'
    permissions: [{ actions: traffic.Actions, notActions: [], dataActions: [], notDataActions: [] }]
    assignableScopes: ['${here}/resourceGroups/${edgeGroupName}']
  }
}

module recoveryAssignment 'assign-group.bicep' = {
  name: 'recovery-role-${environmentName}'
  scope: resourceGroup(recoveryGroupName)
  params: { roleDefinitionId: recoveryRole.id, principalId: principalId }
}

module replicaAssignment 'assign-group.bicep' = {
  name: 'replica-role-${environmentName}'
  scope: resourceGroup(replicaGroupName)
  params: { roleDefinitionId: replicaRole.id, principalId: principalId }
}

module trafficAssignment 'assign-profile.bicep' = {
  name: 'traffic-role-${environmentName}'
  scope: resourceGroup(edgeGroupName)
  params: { roleDefinitionId: trafficRole.id, principalId: principalId, profileName: profileName }
}

resource operationsAssignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(here, environmentName, 'operations', principalId)
  properties: { roleDefinitionId: operationsRole.id, principalId: principalId, principalType: 'ServicePrincipal' }
}
