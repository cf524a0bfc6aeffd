// The function app: Flex Consumption in its own network, two identities, no keys, sign-in for people.
param name string
param planName string
param location string
param tags object
param hostIdentityId string
param hostClientId string
param recoveryIdentityId string
param recoveryClientId string
param subnetId string
param hostBlobEndpoint string
param hostQueueEndpoint string
param hostTableEndpoint string
param packageContainer string
param historyTableEndpoint string
param documentsEndpoint string
param applicationInsights string
param workspaceId string
param signInClientId string
param sqlProbeUri string
param notifyUri string
param primaryAddress string
param recoveryAddress string
param observerAddress string
param alwaysReady bool

@description('Further app settings by name, as references to secrets of the vault.')
param moreSettings object

@description('Durable Task Scheduler\'s address and hub; empty: the host\'s own storage account, as host.json says.')
param schedulerEndpoint string
param schedulerHub string

// Settings of this form override host.json (source: MicrosoftDocs/azure-docs,
// articles/azure-functions/functions-host-json.md).
var durable = 'AzureFunctionsJobHost__extensions__durableTask'
var onScheduler = {
  '${durable}__hubName': schedulerHub
  '${durable}__storageProvider__type': 'azureManaged'
  '${durable}__storageProvider__connectionStringName': 'DURABLE_TASK_SCHEDULER_CONNECTION_STRING'
  DURABLE_TASK_SCHEDULER_CONNECTION_STRING: 'Endpoint=${schedulerEndpoint};Authentication=ManagedIdentity;ClientID=${hostClientId}'
}
var issuer = '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
var audience = 'api://${signInClientId}'

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  // checkov:skip=CKV_AZURE_212:Flex Consumption has no fixed number of instances; alwaysReady keeps some warm.
  // checkov:skip=CKV_AZURE_225:Zone redundancy depends on the recovery region; the storage, which must survive the loss
  // of a zone, is zone-redundant.
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  // checkov:skip=CKV_AZURE_212:Flex Consumption has no fixed number of instances; alwaysReady keeps some warm.
  // checkov:skip=CKV_AZURE_213:Flex Consumption has no health check path; the alert rule on the watch fires when the
  // app does not run. checkov:skip=CKV_AZURE_17:People sign in with Microsoft Entra and Azure Monitor sends a token;
  // neither has a client certificate. checkov:skip=CKV_AZURE_222:Azure Monitor and the operators call from the
  // Internet; they are authenticated by tokens, not by networks.
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'coldsite' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${hostIdentityId}': {}, '${recoveryIdentityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    virtualNetworkSubnetId: subnetId
    keyVaultReferenceIdentity: hostIdentityId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      remoteDebuggingEnabled: false
      cors: { allowedOrigins: [], supportCredentials: false }
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainer
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: hostIdentityId }
        }
      }
      runtime: { name: 'python', version: '3.13' }
      scaleAndConcurrency: {
        maximumInstanceCount: 40
        instanceMemoryMB: 2048
        alwaysReady: alwaysReady ? [{ name: 'http', instanceCount: 1 }, { name: 'durable', instanceCount: 1 }] : []
      }
    }
  }
}

resource appSettings 'Microsoft.Web/sites/config@2024-04-01' = {
  // checkov:skip=CKV_AZURE_13:A check of classic web apps that looks at every resource of this type; this one is not the site's web configuration.
  // checkov:skip=CKV_AZURE_63:A check of classic web apps that looks at every resource of this type; this one is not the site's web configuration.
  // checkov:skip=CKV_AZURE_65:A check of classic web apps that looks at every resource of this type; this one is not the site's web configuration.
  // checkov:skip=CKV_AZURE_66:A check of classic web apps that looks at every resource of this type; this one is not the site's web configuration.
  // checkov:skip=CKV_AZURE_80:A check of classic web apps that looks at every resource of this type; this one is not the site's web configuration.
  // checkov:skip=CKV_AZURE_88:A check of classic web apps that looks at every resource of this type; this one is not the site's web configuration.
  // checkov:skip=CKV_AZURE_222:A check of classic web apps that looks at every resource of this type; this one is not the site's web configuration.
  parent: app
  name: 'appsettings'
  properties: union(moreSettings, empty(schedulerEndpoint) ? {} : onScheduler, {
    AzureWebJobsStorage__blobServiceUri: hostBlobEndpoint
    AzureWebJobsStorage__queueServiceUri: hostQueueEndpoint
    AzureWebJobsStorage__tableServiceUri: hostTableEndpoint
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: hostClientId
    APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsights
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${hostClientId};Authorization=AAD'
    FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '1048576'
    AZURE_CLIENT_ID: recoveryClientId
    AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential' // checkov:skip=CKV_SECRET_6:A keyword of azure-identity, not a secret.
    COLDSITE_TABLES_ENDPOINT: historyTableEndpoint
    COLDSITE_DOCUMENTS_ENDPOINT: documentsEndpoint
    COLDSITE_WORKSPACE_ID: workspaceId
    COLDSITE_WATCH_SCHEDULE: '*/20 * * * * *'
    COLDSITE_HOUSEKEEPING_SCHEDULE: '0 */5 * * * *'
    COLDSITE_SIGN_IN: 'required'
    COLDSITE_ALERTS_AUDIENCE: '${signInClientId} ${audience}'
    COLDSITE_TENANT_ID: tenant().tenantId
    PRIMARY_ADDRESS: primaryAddress
    RECOVERY_PUBLIC_ADDRESS: recoveryAddress
    OBSERVER_ADDRESS: observerAddress
    SQL_PROBE: '@Microsoft.KeyVault(SecretUri=${sqlProbeUri})'
    NOTIFY_URL: '@Microsoft.KeyVault(SecretUri=${notifyUri})'
  })
}

resource signIn 'Microsoft.Web/sites/config@2024-04-01' = {
  // checkov:skip=CKV_AZURE_13:A check of classic web apps that looks at every resource of this type; this one is not the site's web configuration.
  // checkov:skip=CKV_AZURE_63:A check of classic web apps that looks at every resource of this type; this one is not the site's web configuration.
  // checkov:skip=CKV_AZURE_65:A check of classic web apps that looks at every resource of this type; this one is not the site's web configuration.
  // checkov:skip=CKV_AZURE_66:A check of classic web apps that looks at every resource of this type; this one is not the site's web configuration.
  // checkov:skip=CKV_AZURE_80:A check of classic web apps that looks at every resource of this type; this one is not the site's web configuration.
  // checkov:skip=CKV_AZURE_88:A check of classic web apps that looks at every resource of this type; this one is not the site's web configuration.
  // checkov:skip=CKV_AZURE_222:A check of classic web apps that looks at every resource of this type; this one is not the site's web configuration.
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true, runtimeVersion: '~1' }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'Return401'
      // Coldsite validates Azure Monitor's token itself, and checks more of it than the platform does.
      excludedPaths: ['/api/alerts']
    }
    httpSettings: { requireHttps: true }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: { openIdIssuer: issuer, clientId: signInClientId }
        validation: { allowedAudiences: [audience] }
      }
    }
    login: { tokenStore: { enabled: false } }
  }
}

resource noFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource noBasicPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

output url string = 'https://${app.properties.defaultHostName}'
output name string = app.name
