// Durable Task Scheduler instead of the host's queues and tables: no polling, and a portal page for orchestrations.
// Source: learn.microsoft.com/azure/durable-task/scheduler, Azure/azure-rest-api-specs (Microsoft.DurableTask 2025-11-01).
param environmentName string
param token string
param location string
param tags object
param hostPrincipalId string

var dataContributor = '0ad04412-c4d5-4796-b79c-f76d14c8d402' // Durable Task Data Contributor

resource scheduler 'Microsoft.DurableTask/schedulers@2025-11-01' = {
  name: 'dts-coldsite-${take(token, 10)}'
  location: location
  tags: tags
  properties: {
    sku: { name: 'Consumption' }
    // Callers present a token of Microsoft Entra. An empty list would reject every caller.
    ipAllowlist: ['0.0.0.0/0']
  }
}

resource hub 'Microsoft.DurableTask/schedulers/taskHubs@2025-11-01' = {
  parent: scheduler
  name: 'coldsite'
}

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: scheduler
  name: guid(scheduler.id, environmentName, dataContributor)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', dataContributor)
    principalId: hostPrincipalId
    principalType: 'ServicePrincipal'
  }
}

output endpoint string = scheduler.properties.endpoint
output hubName string = hub.name
