// The reference site as the compiler sees it: what it would make is kept in contoso.snapshot.json, and every change of it
// shows in a review. After a change that is meant: bicep snapshot contoso.bicepparam --mode overwrite
// --tenant-id 00000000-0000-0000-0000-0000000000a1 --subscription-id 00000000-0000-0000-0000-00000000c01d --location westeurope
using 'main.bicep'

var contoso = loadJsonContent('contoso.parameters.json').parameters

param environmentName = contoso.environmentName.value
param location = contoso.location.value
param planName = contoso.planName.value
param profileName = contoso.profileName.value
param primaryEndpointName = contoso.primaryEndpointName.value
param signInClientId = contoso.signInClientId.value
param signInObjectId = contoso.signInObjectId.value
param heartbeatComputer = contoso.heartbeatComputer.value
param operatorEmail = contoso.operatorEmail.value
param primaryAddress = contoso.primaryAddress.value
param observerAddress = contoso.observerAddress.value
param createSite = contoso.createSite.value
param site = contoso.site.value
param sqlProbe = readEnvironmentVariable('COLDSITE_SQL_PROBE', 'user:password')
param notifyUrl = readEnvironmentVariable('COLDSITE_NOTIFY_URL', 'json://localhost')
param vpnSharedKey = readEnvironmentVariable('COLDSITE_VPN_KEY', 'a key')
param replicaPassword = readEnvironmentVariable('COLDSITE_REPLICA_PASSWORD', 'a password')
