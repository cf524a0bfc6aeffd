// The destination of Coldsite's own logs, without keys.
param environmentName string
param location string
param tags object
param hostPrincipalId string
param recoveryPrincipalId string

var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'
var logReader = '73c42c96-874c-492b-b04d-ab87d138a893'

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: 'log-coldsite-${environmentName}'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: 90
    features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-coldsite-${environmentName}'
  location: location
  tags: tags
  kind: 'web'
  properties: { Application_Type: 'web', WorkspaceResourceId: workspace.id, DisableLocalAuth: true }
}

resource hostWrites 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, hostPrincipalId, metricsPublisher)
  scope: insights
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)
    principalId: hostPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource recoveryReads 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(workspace.id, recoveryPrincipalId, logReader)
  scope: workspace
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', logReader)
    principalId: recoveryPrincipalId
    principalType: 'ServicePrincipal'
  }
}

output connectionString string = insights.properties.ConnectionString
output workspaceId string = workspace.id
output workspaceGuid string = workspace.properties.customerId
