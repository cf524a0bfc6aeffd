// The Double-Take machine and its replica disks: in a disaster, the last copy of the business.
param location string
param tags object
param subnetId string

@description('name, size and administrator of the machine.')
param machine object

@description('name, workload, label, sizeGb, lun on this machine, dataLun in the recovered one, os and generation.')
param disks array

@secure()
param password string

resource copies 'Microsoft.Compute/disks@2024-03-02' = [
  for disk in disks: {
    // checkov:skip=CKV_AZURE_2:Managed disks are always encrypted at rest; the check looks for a setting of old
    // unmanaged disks. checkov:skip=CKV_AZURE_93:Encrypted at rest with the platform's keys; a customer-managed key
    // that is unreachable in a disaster would lock up the only copy.
    name: disk.name
    location: location
    tags: tags
    sku: { name: disk.sku }
    properties: {
      creationData: { createOption: 'Empty' }
      diskSizeGB: disk.sizeGb
      osType: disk.label == 'os' ? 'Windows' : null
      hyperVGeneration: disk.label == 'os' ? disk.generation : null
      networkAccessPolicy: 'DenyAll'
      publicNetworkAccess: 'Disabled'
    }
  }
]

resource interface 'Microsoft.Network/networkInterfaces@2024-05-01' = {
  name: 'nic-${machine.name}'
  location: location
  tags: tags
  properties: {
    ipConfigurations: [
      {
        name: 'primary'
        properties: {
          privateIPAllocationMethod: 'Static'
          privateIPAddress: machine.address
          subnet: { id: subnetId }
        }
      }
    ]
  }
}

resource replica 'Microsoft.Compute/virtualMachines@2024-07-01' = {
  // checkov:skip=CKV_AZURE_97:Encryption at host must first be registered in the subscription; the disks are encrypted at rest without it.
  // checkov:skip=CKV_AZURE_151:Disk encryption inside Windows would need keys that may be unreachable in a disaster.
  // checkov:skip=CKV_AZURE_178:It is a Windows machine.
  // checkov:skip=CKV_AZURE_50:Run Command is how Coldsite freezes and thaws the replica; it is the machine's agent, not
  // a third-party extension.
  name: machine.name
  location: location
  tags: tags
  properties: {
    hardwareProfile: { vmSize: machine.size }
    osProfile: {
      computerName: machine.name
      adminUsername: machine.administrator
      adminPassword: password
      windowsConfiguration: {
        provisionVMAgent: true
        enableAutomaticUpdates: true
        // A reboot during a freeze or a failover would cost the recovery point: restarts are the administrator's
        // decision.
        patchSettings: {
          patchMode: 'AutomaticByPlatform'
          assessmentMode: 'AutomaticByPlatform'
          automaticByPlatformSettings: { rebootSetting: 'Never' }
        }
      }
    }
    storageProfile: {
      imageReference: {
        publisher: 'MicrosoftWindowsServer'
        offer: 'WindowsServer'
        sku: '2022-datacenter-azure-edition'
        version: 'latest'
      }
      osDisk: {
        name: '${machine.name}-system'
        createOption: 'FromImage'
        caching: 'ReadWrite'
        managedDisk: { storageAccountType: 'Premium_LRS' }
        deleteOption: 'Detach'
      }
      dataDisks: [
        for (disk, number) in disks: {
          lun: disk.lun
          createOption: 'Attach'
          caching: 'None'
          managedDisk: { id: copies[number].id }
          deleteOption: 'Detach'
        }
      ]
    }
    networkProfile: { networkInterfaces: [{ id: interface.id, properties: { primary: true, deleteOption: 'Detach' } }] }
    securityProfile: {
      securityType: 'TrustedLaunch'
      uefiSettings: { secureBootEnabled: true, vTpmEnabled: true }
    }
    diagnosticsProfile: { bootDiagnostics: { enabled: true } }
    licenseType: 'Windows_Server'
  }
}

// The lock prevents accidental deletion of a replica disk. Snapshots are in the recovery group, so it hinders no
// recovery.
resource kept 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'replica-is-kept'
  properties: { level: 'CanNotDelete', notes: 'The copy of the business. Remove this lock only to retire the replica.' }
}

output machineId string = replica.id
output disks array = [
  for (disk, number) in disks: {
    workload: disk.workload
    label: disk.label
    lun: disk.dataLun
    id: copies[number].id
  }
]
