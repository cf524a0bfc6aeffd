// The alerts that start Coldsite, and those that notify people when Coldsite itself fails.
param environmentName string
param location string
param tags object
param planName string
param appUrl string
param signInClientId string
param signInObjectId string
param operatorEmail string
param profileId string
param primaryEndpointName string
param workspaceId string

@description('The server whose agent is monitored. Empty when there is none: then the rule is off.')
param heartbeatComputer string

var here = subscription().id

resource coldsite 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-coldsite-${environmentName}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'coldsite'
    enabled: true
    webhookReceivers: [
      {
        name: 'coldsite'
        serviceUri: '${appUrl}/api/alerts'
        useCommonAlertSchema: true
        useAadAuth: true
        objectId: signInObjectId
        identifierUri: 'api://${signInClientId}'
        tenantId: tenant().tenantId
      }
    ]
  }
}

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-people-${environmentName}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'operators'
    enabled: true
    emailReceivers: [{ name: 'operator', emailAddress: operatorEmail, useCommonAlertSchema: true }]
  }
}

// The profile as a whole is degraded by design while the recovery endpoint is disabled; only the primary's endpoint tells.
resource primaryEndpoint 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'alert-primary-endpoint-${environmentName}'
  location: 'global'
  tags: tags
  properties: {
    description: 'No Traffic Manager location reaches the primary site. Coldsite checks it independently before it acts.'
    severity: 1
    enabled: true
    scopes: [profileId]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT1M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'primary'
          metricNamespace: 'Microsoft.Network/trafficManagerProfiles'
          metricName: 'ProbeAgentCurrentEndpointStateByProfileResourceId'
          timeAggregation: 'Maximum'
          operator: 'LessThan'
          threshold: 1
          dimensions: [{ name: 'EndpointName', operator: 'Include', values: [primaryEndpointName] }]
        }
      ]
    }
    actions: [{ actionGroupId: coldsite.id, webHookProperties: { 'coldsite-plan': planName } }]
  }
}

resource heartbeat 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-heartbeat-${environmentName}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'The primary site\'s agent is silent (${planName})'
    description: 'The agent reported within the last day, and has been silent for five minutes.'
    severity: 1
    enabled: !empty(heartbeatComputer)
    scopes: [workspaceId]
    evaluationFrequency: 'PT5M'
    windowSize: 'P1D'
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: 'Heartbeat | where Computer =~ "${heartbeatComputer}" | summarize LastHeard = max(TimeGenerated) | where LastHeard < ago(5m)'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: [coldsite.id], customProperties: { 'coldsite-plan': planName } }
  }
}

// Replication that falls behind is no outage: people are notified, and Coldsite is not started.
resource replication 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-replication-${environmentName}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Replication is not good (${planName})'
    description: 'The task on the Double-Take machine has not reported a good state for half an hour.'
    severity: 2
    enabled: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT15M'
    windowSize: 'P1D'
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: loadTextContent('replication-alert.kql')
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: [people.id] }
  }
}

// Coldsite's own warnings: a leftover that blocks a run, an endpoint that was enabled by hand, a frozen replica.
resource warnings 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-warnings-${environmentName}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Coldsite warns (${planName})'
    description: 'A condition would make a failover fail, or needs attention after one. `coldsite plan show` has the details.'
    severity: 2
    enabled: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT30M'
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: 'AppTraces | where Message startswith \'Coldsite warns:\''
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: [people.id] }
  }
}

resource failures 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-coldsite-${environmentName}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Coldsite itself has failed (${planName})'
    description: 'A function failed, or the watch, which runs every minute, has not run for a quarter of an hour.'
    severity: 1
    enabled: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: loadTextContent('coldsite-failed.kql')
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: [people.id] }
  }
}

// Not about the primary site: an incident in the recovery region, which makes automatic failover ask first.
resource regionTrouble 'Microsoft.Insights/activityLogAlerts@2020-10-01' = {
  name: 'alert-region-${environmentName}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Azure reports trouble with its services.'
    enabled: true
    scopes: [here]
    condition: {
      allOf: [
        { field: 'category', equals: 'ServiceHealth' }
        { field: 'properties.incidentType', equals: 'Incident' }
      ]
    }
    actions: { actionGroups: [{ actionGroupId: people.id }] }
  }
}
