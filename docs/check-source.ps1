<#
.SYNOPSIS
    Checks whether this server would boot in Azure from its replicated disks, and says what to fix. It changes nothing.

.DESCRIPTION
    Run it on every server that Coldsite protects: in Windows PowerShell 5.1, as administrator, on the server itself.
    Each line begins with one word:

      OK    nothing to do
      FIX   the recovered machine will probably not boot, or not serve, until this is fixed
      LOOK  an administrator of this server must decide; it may be correct as it is

    Below FIX, and below LOOK where there is something to run, is the command to fix it. The script runs none of them.
    Read docs/source-machines.md first: some need a maintenance window.

    The exit code is 1 if there is any FIX, 2 if there is none but something could not be checked, else 0.

    The script reads settings, the registry, services and drivers. It writes no file and no setting. Only with
    -HealthUrl does it send something: one GET request to that address.

    NOT TRIED ON EVERY VERSION OF WINDOWS. It was written from Microsoft's documentation, for Windows Server 2016 and
    later. On an older one some checks say LOOK, "could not be checked". Only a drill is proof.

.PARAMETER HealthUrl
    The address of this server's own health page, asked once, for example http://localhost/health. Only for IIS.

.PARAMETER StaysBehind
    Drive letters of disks that are NOT replicated, for example -StaysBehind E,T. A page file or a service on one of
    them is then a FIX.

.PARAMETER AllowStatic
    Says LOOK instead of FIX where an adapter has a fixed address. For servers that must keep theirs at home.

.EXAMPLE
    powershell.exe -ExecutionPolicy Bypass -File .\check-source.ps1

.EXAMPLE
    .\check-source.ps1 -HealthUrl http://localhost/health -StaysBehind T

.NOTES
    Sources: MicrosoftDocs/azure-compute-docs: articles/virtual-machines/windows/prepare-for-upload-vhd-image.md,
    articles/virtual-machines/generation-2.md. See docs/source-machines.md.
#>
#Requires -Version 5.1
#Requires -RunAsAdministrator
[CmdletBinding()]
param(
    [string] $HealthUrl = '',
    [string[]] $StaysBehind = @(),
    [switch] $AllowStatic
)

$ErrorActionPreference = 'Stop'
$script:Fixes = 0
$script:Looks = 0
$script:Unchecked = 0
$script:Generation = ''

# With -File, "E,T" arrives as one word.
$stays = @($StaysBehind | ForEach-Object { $_ -split ',' } | ForEach-Object { $_.Trim().TrimEnd(':', '\').ToUpper() } |
        Where-Object { $_ })

function Write-Finding {
    param([string] $State, [string] $Text, [string] $Fix = '')
    $colour = 'Green'
    if ($State -eq 'FIX') { $script:Fixes++; $colour = 'Red' }
    if ($State -eq 'LOOK') { $script:Looks++; $colour = 'Yellow' }
    Write-Host ('{0,-5} ' -f $State) -ForegroundColor $colour -NoNewline
    Write-Host $Text
    if ($Fix) { Write-Host ('        > ' + $Fix) }
}

function Test-Part {
    # One check that fails must not keep the others from being made.
    param([string] $Name, [scriptblock] $Check)
    try { & $Check }
    catch {
        $script:Unchecked++
        Write-Finding 'LOOK' ("{0} could not be checked: {1}" -f $Name, $_.Exception.Message)
    }
}

function Get-RegistryValue {
    # The value, or $null when the key or the value is not there.
    param([string] $Path, [string] $Name)
    $key = Get-Item -LiteralPath $Path -ErrorAction SilentlyContinue
    if ($null -eq $key) { return $null }
    return $key.GetValue($Name, $null)
}

Write-Host ''
Write-Host ("Coldsite: can {0} start in Azure from its replicated disks? Nothing is changed." -f $env:COMPUTERNAME)
Write-Host ''

# ---- Windows itself --------------------------------------------------------------------------------------------------

Test-Part 'The Windows version' {
    $os = Get-CimInstance -ClassName Win32_OperatingSystem
    $build = [int] $os.BuildNumber
    $name = ('{0}, build {1}' -f $os.Caption, $build).Trim()
    if ($build -lt 9200) {
        Write-Finding 'FIX' `
            ("{0} is older than Windows Server 2012. This guide does not cover it: upgrade it first." -f $name)
    }
    elseif ($build -lt 14393) {
        Write-Finding 'LOOK' `
            (("{0} is old: it needs the newest Hyper-V integration components, and its storage drivers " +
                    "need updates.") -f $name)
    }
    elseif ($os.ProductType -eq 1) {
        Write-Finding 'LOOK' `
            (("{0} is a workstation: check that your licence allows it in Azure, and set license: " +
                    "Windows_Client in the plan.") -f $name)
    }
    else { Write-Finding 'OK' ("{0}." -f $name) }

    if ($build -ge 9200 -and -not [Environment]::Is64BitOperatingSystem) {
        Write-Finding 'LOOK' 'Windows is a 32-bit edition: check that Azure still supports it before you rely on it.'
    }
    if ($os.ProductType -eq 2) {
        Write-Finding 'LOOK' `
            ('This is a domain controller: do not recover it like any server; read "Active Directory and ' +
                'names" in docs/double-take.md.')
    }
}

Test-Part 'The domain' {
    $computer = Get-CimInstance -ClassName Win32_ComputerSystem
    if ($computer.PartOfDomain) {
        Write-Finding 'LOOK' `
            (("This server belongs to the domain {0}: decide how it signs in without your premises; see " +
                    "docs/double-take.md.") -f $computer.Domain)
    }
    else { Write-Finding 'OK' 'This server belongs to no domain.' }
}

Test-Part 'A pending restart' {
    $why = @()
    $current = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion'
    $manager = 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager'
    if (Test-Path "$current\Component Based Servicing\RebootPending") { $why += 'Windows components' }
    if (Test-Path "$current\WindowsUpdate\Auto Update\RebootRequired") { $why += 'Windows Update' }
    if ($why.Count -gt 0) {
        Write-Finding 'FIX' `
            ("A restart is pending ({0}): the recovered machine would finish it during its first start." -f
                    ($why -join ', ')) `
            'Restart-Computer    (in a maintenance window)'
    }
    elseif ($null -ne (Get-RegistryValue $manager 'PendingFileRenameOperations')) {
        Write-Finding 'LOOK' `
            ('Files wait to be replaced at the next restart; many programs leave such entries, and a ' +
                'restart usually clears them.') `
            'Restart-Computer    (in a maintenance window)'
    }
    else { Write-Finding 'OK' 'No restart is pending.' }
}

Test-Part 'The hardware clock' {
    $utc = Get-RegistryValue 'HKLM:\SYSTEM\CurrentControlSet\Control\TimeZoneInformation' 'RealTimeIsUniversal'
    if ($utc -eq 1) { Write-Finding 'OK' 'Windows takes the hardware clock as UTC, as Azure does.' }
    else {
        Write-Finding 'FIX' `
            ('Windows takes the hardware clock as local time; in Azure it is UTC, so the time would be ' +
                'wrong after the start.') `
            ("Set-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Control\TimeZoneInformation' -Name " +
                "RealTimeIsUniversal -Value 1 -Type DWord")
        Write-Host '          Then check the clock after the next restart here; see docs/source-machines.md.'
    }
    $time = Get-CimInstance -ClassName Win32_Service -Filter "Name='w32time'"
    if ($time -and $time.StartMode -eq 'Auto') { Write-Finding 'OK' 'The time service starts by itself.' }
    else {
        Write-Finding 'FIX' `
            'The time service (w32time) does not start by itself.' `
            'Set-Service -Name w32time -StartupType Automatic'
    }
}

# ---- Disks -----------------------------------------------------------------------------------------------------------

Test-Part 'The disks' {
    $disks = @(Get-Disk | Sort-Object -Property Number)
    $wmi = @{}
    foreach ($one in @(Get-CimInstance -ClassName Win32_DiskDrive)) { $wmi[[int] $one.Index] = $one }
    Write-Host ''
    Write-Host '      Disk  Size GB  Style  Bus            LUN here  Letters     What'
    foreach ($disk in $disks) {
        $letters = @(Get-Partition -DiskNumber $disk.Number -ErrorAction SilentlyContinue |
                Where-Object { $_.DriveLetter -match '[A-Z]' } | ForEach-Object { "$($_.DriveLetter):" }) -join ' '
        $lun = ''
        if ($wmi.ContainsKey([int] $disk.Number)) { $lun = [string] $wmi[[int] $disk.Number].SCSILogicalUnit }
        $what = @()
        if ($disk.IsBoot) { $what += 'Windows' }
        if ($disk.IsSystem) { $what += 'boot files' }
        if ($disk.IsOffline) { $what += 'offline' }
        Write-Host ('      {0,4}  {1,7:N0}  {2,-5}  {3,-13}  {4,8}  {5,-10}  {6}' -f
            $disk.Number, ($disk.Size / 1gb), $disk.PartitionStyle, $disk.BusType, $lun, $letters, ($what -join ', '))
    }
    Write-Host '      In the plan the disk with Windows is disks.os. Number the others under disks.data: lun 0, 1, 2.'
    Write-Host ''

    $boot = @($disks | Where-Object { $_.IsBoot })
    if ($boot.Count -ne 1) {
        Write-Finding 'FIX' `
            ("Windows lies on {0} disks; Coldsite starts a machine from exactly one." -f $boot.Count) `
            'Get-Disk | Select-Object Number, IsBoot, IsSystem, Size    (then bring Windows onto one disk)'
        return
    }
    $boot = $boot[0]
    # A running Windows started by UEFI has a GPT disk, one started by BIOS an MBR disk; it allows nothing else.
    if ("$($boot.PartitionStyle)" -eq 'GPT') { $script:Generation = 'V2' }
    elseif ("$($boot.PartitionStyle)" -eq 'MBR') { $script:Generation = 'V1' }
    if ($script:Generation) {
        $mode = 'UEFI'
        if ($script:Generation -eq 'V1') { $mode = 'BIOS' }
        Write-Finding 'OK' `
            ("Write in the plan: generation: {0} (the disk with Windows is {1}, so it starts by {2})." -f
                    $script:Generation, $boot.PartitionStyle, $mode)
    }
    else {
        Write-Finding 'FIX' `
            'The style of the disk with Windows is neither GPT nor MBR.' `
            ('Get-Disk -Number {0} | Format-List' -f $boot.Number)
    }

    if ($script:Generation -eq 'V1' -and $boot.Size -gt 2tb) {
        Write-Finding 'FIX' `
            'The disk with Windows is larger than 2 TB, which generation V1 does not allow.' `
            ('Resize-Partition -DriveLetter {0} -Size <less>    (then replicate to a smaller disk)' -f
                    $env:SystemDrive.TrimEnd(':'))
    }
    $system = @($disks | Where-Object { $_.IsSystem } | ForEach-Object { $_.Number })
    if ($system.Count -gt 0 -and $system -notcontains $boot.Number) {
        Write-Finding 'LOOK' `
            (("The boot files lie on disk {0}, Windows on disk {1}; the recovered machine starts from one " +
                    "disk alone, so it would find no boot files.") -f ($system -join ', '), $boot.Number) `
            'bcdboot.exe /?    (it writes boot files; know your partitions first)'
    }
    foreach ($disk in $disks) {
        if ($disk.Size -gt 32767gb) {
            Write-Finding 'FIX' `
                ("Disk {0} is larger than Azure's largest data disk of 32,767 GiB." -f $disk.Number) `
                'Split its data over several disks.'
        }
        if ("$($disk.BusType)" -eq 'Spaces') {
            Write-Finding 'LOOK' `
                (("Disk {0} is a storage space: every disk of its pool must be replicated and be in the " +
                        "plan.") -f $disk.Number)
        }
        if ("$($disk.BusType)" -eq 'iSCSI') {
            Write-Finding 'LOOK' `
                (("Disk {0} comes by iSCSI: the recovered machine must not try to reach it, and its data " +
                        "must be replicated as a disk.") -f $disk.Number)
        }
        if ("$($disk.BusType)" -eq 'USB') {
            Write-Finding 'LOOK' `
                ("Disk {0} hangs on USB: leave it out of the replication, or move its data." -f $disk.Number)
        }
    }
    $dynamic = @(Get-CimInstance -ClassName Win32_DiskPartition |
            Where-Object { $_.Type -like '*Logical Disk Manager*' })
    if ($dynamic.Count -gt 0) {
        Write-Finding 'LOOK' `
            ('There are dynamic disks: all disks of one volume must be replicated and be in the plan, and ' +
                'a drill must show that they come up.')
    }
}

Test-Part 'The SAN policy' {
    # By name or by number: 1 is OnlineAll.
    $policy = ''
    if (Get-Command -Name Get-StorageSetting -ErrorAction SilentlyContinue) {
        $policy = "$((Get-StorageSetting).NewDiskPolicy)"
    }
    if (-not $policy) {
        $policy = "$(Get-RegistryValue 'HKLM:\SYSTEM\CurrentControlSet\Services\partmgr\Parameters' 'SanPolicy')"
    }
    if ($policy -eq 'OnlineAll' -or $policy -eq '1') {
        Write-Finding 'OK' `
            'New disks come online by themselves (SAN policy OnlineAll).'
    }
    else {
        $shown = 'not set'
        if ($policy) { $shown = $policy }
        Write-Finding 'FIX' `
            (("The SAN policy is {0}: in Azure the data disks would be offline, and SQL Server would not " +
                    "find its databases.") -f $shown) `
            'Set-StorageSetting -NewDiskPolicy OnlineAll    (or in diskpart: san policy=OnlineAll)'
    }
}

Test-Part 'BitLocker' {
    if (-not (Get-Command -Name manage-bde -ErrorAction SilentlyContinue)) {
        Write-Finding 'OK' 'BitLocker is not installed.'
        return
    }
    $where = 'root/cimv2/Security/MicrosoftVolumeEncryption'
    $volumes = @(Get-CimInstance -Namespace $where -ClassName Win32_EncryptableVolume)
    $bad = @()
    foreach ($volume in $volumes) {
        # A Get method: it reads. 0 means fully decrypted.
        $state = Invoke-CimMethod -InputObject $volume -MethodName GetConversionStatus
        if ($state.ReturnValue -eq 0 -and $state.ConversionStatus -ne 0) { $bad += $volume.DriveLetter }
    }
    if ($bad.Count -eq 0) { Write-Finding 'OK' 'No volume is encrypted with BitLocker.' }
    foreach ($letter in $bad) {
        Write-Finding 'FIX' `
            (("{0} is encrypted with BitLocker: the recovered machine would stop and ask for the recovery " +
                    "key.") -f $letter) `
            ('manage-bde.exe -off {0}    (it takes hours; watch with manage-bde.exe -status)' -f $letter)
    }
}

Test-Part 'The page file' {
    $drives = @(Get-CimInstance -ClassName Win32_PageFileUsage |
            ForEach-Object { $_.Name.Substring(0, 1).ToUpper() } | Select-Object -Unique)
    $windowsDrive = $env:SystemDrive.Substring(0, 1).ToUpper()
    if ($drives.Count -eq 0) {
        Write-Finding 'LOOK' `
            'There is no page file, so a crash leaves no dump to read.' `
            'SystemPropertiesPerformance.exe    (Advanced, Virtual memory)'
    }
    foreach ($drive in $drives) {
        if ($drive -eq $windowsDrive) { Write-Finding 'OK' ("The page file lies on {0}:, with Windows." -f $drive) }
        elseif ($stays -contains $drive) {
            Write-Finding 'FIX' `
                ("The page file lies on {0}:, which stays behind." -f $drive) `
                'SystemPropertiesPerformance.exe    (Advanced, Virtual memory: move it to the drive with Windows)'
        }
        else {
            Write-Finding 'LOOK' `
                ("The page file lies on {0}:. Either that disk is in the plan, or the page file must move." -f $drive) `
                'SystemPropertiesPerformance.exe    (Advanced, Virtual memory)'
        }
    }
}

# ---- Network ---------------------------------------------------------------------------------------------------------

Test-Part 'The network adapters' {
    $all = @(Get-NetIPInterface -AddressFamily IPv4 |
            Where-Object { "$($_.ConnectionState)" -eq 'Connected' -and $_.InterfaceAlias -notlike 'Loopback*' })
    foreach ($one in $all) {
        if ("$($one.Dhcp)" -eq 'Enabled') {
            Write-Finding 'OK' `
                ("{0} takes its address by DHCP." -f $one.InterfaceAlias)
        }
        else {
            $state = 'FIX'
            if ($AllowStatic) { $state = 'LOOK' }
            Write-Finding $state `
                ("{0} has a fixed address: in Azure it may not fit, and the machine could not be reached." -f
                        $one.InterfaceAlias) `
                (('netsh interface ipv4 set address name="{0}" source=dhcp; ' +
                        'netsh interface ipv4 set dnsservers name="{0}" source=dhcp') -f $one.InterfaceAlias)
            Write-Host '          FIRST reserve the same address in your DHCP server. The connection breaks briefly.'
        }
    }
    if ($all.Count -gt 1) {
        Write-Finding 'LOOK' `
            (("There are {0} connected adapters; the recovered machine has exactly one. Check what uses " +
                    "the others.") -f $all.Count) `
            'Get-NetIPConfiguration'
    }
    elseif ($all.Count -eq 1) { Write-Finding 'OK' 'There is one connected adapter, as in Azure.' }
    else { Write-Finding 'LOOK' 'No connected IPv4 adapter was found.' 'Get-NetAdapter' }
}

Test-Part 'Fixed routes' {
    $path = 'HKLM:\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters\PersistentRoutes'
    $key = Get-Item -LiteralPath $path -ErrorAction SilentlyContinue
    $routes = @()
    if ($key) { $routes = @($key.GetValueNames() | Where-Object { $_ }) }
    if ($routes.Count -eq 0) { Write-Finding 'OK' 'There are no persistent routes.' }
    else {
        Write-Finding 'LOOK' `
            ("There are {0} persistent routes; in Azure they lead nowhere." -f $routes.Count) `
            'route.exe print -4    (then for each that is not needed: route.exe delete <destination>)'
    }
}

Test-Part 'Services that the start in Azure needs' {
    foreach ($name in @('Dhcp', 'Dnscache', 'nsi', 'BFE', 'mpssvc', 'iphlpsvc', 'IKEEXT')) {
        $service = Get-CimInstance -ClassName Win32_Service -Filter ("Name='{0}'" -f $name)
        if (-not $service) { Write-Finding 'LOOK' ("The service {0} is not there." -f $name) }
        elseif ($service.StartMode -eq 'Auto') { Write-Finding 'OK' ("The service {0} starts by itself." -f $name) }
        elseif ($service.StartMode -eq 'Disabled' -or $name -in @('Dhcp', 'Dnscache', 'nsi')) {
            Write-Finding 'FIX' `
                ("The service {0} does not start by itself ({1})." -f $name, $service.StartMode) `
                ('Set-Service -Name {0} -StartupType Automatic' -f $name)
        }
        else {
            Write-Finding 'LOOK' `
                ("The service {0} starts on demand; Microsoft recommends Automatic." -f $name) `
                ('Set-Service -Name {0} -StartupType Automatic' -f $name)
        }
    }
}

Test-Part 'Remote desktop' {
    $own = Get-RegistryValue 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server' 'fDenyTSConnections'
    $policy = Get-RegistryValue 'HKLM:\SOFTWARE\Policies\Microsoft\Windows NT\Terminal Services' 'fDenyTSConnections'
    if ($policy -eq 1) {
        Write-Finding 'FIX' `
            'A group policy forbids remote desktop; without it you cannot sign in to the recovered machine.' `
            'gpresult.exe /scope computer /r    (then change the policy that sets it)'
    }
    elseif ($null -ne $policy -or $own -eq 0) { Write-Finding 'OK' 'Remote desktop is on.' }
    else {
        Write-Finding 'FIX' `
            'Remote desktop is off; without it you cannot sign in to the recovered machine.' `
            ("Set-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server' -Name " +
                "fDenyTSConnections -Value 0 -Type DWord")
    }
    $port = Get-RegistryValue 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server\WinStations\RDP-Tcp' 'PortNumber'
    if ($null -ne $port -and $port -ne 3389) {
        Write-Finding 'LOOK' `
            ("Remote desktop listens on port {0}, not 3389: remember it for the day." -f $port)
    }
}

Test-Part 'The firewall' {
    # The group's name in every language of Windows.
    $group = '@FirewallAPI.dll,-28752'
    $rules = @(Get-NetFirewallRule -PolicyStore ActiveStore -Group $group -ErrorAction SilentlyContinue |
            Where-Object {
                "$($_.Enabled)" -eq 'True' -and "$($_.Direction)" -eq 'Inbound' -and "$($_.Action)" -eq 'Allow'
            })
    if ($rules.Count -gt 0) { Write-Finding 'OK' 'The firewall lets remote desktop in.' }
    else {
        Write-Finding 'FIX' `
            'No active firewall rule of the group Remote Desktop lets remote desktop in.' `
            "Enable-NetFirewallRule -Group '$group'"
    }
    foreach ($one in @(Get-NetFirewallProfile -PolicyStore ActiveStore)) {
        if ("$($one.Enabled)" -ne 'True') {
            Write-Finding 'LOOK' `
                ("The firewall is off for the profile {0}." -f $one.Name) `
                ('Set-NetFirewallProfile -Name {0} -Enabled True    (check your rules first)' -f $one.Name)
        }
    }
    Write-Finding 'LOOK' `
        ('In Azure the network may count as Public: check that the ports of your application are open in ' +
            'that profile too.') `
        'Get-NetFirewallRule -Enabled True -Direction Inbound | Format-Table DisplayName, Profile'
}

# ---- Drivers ---------------------------------------------------------------------------------------------------------

Test-Part 'The drivers for Azure' {
    # Start: 0 boot, 1 system, 2 automatic, 3 on demand, 4 disabled.
    foreach ($name in @('vmbus', 'storvsc')) {
        $start = Get-RegistryValue ("HKLM:\SYSTEM\CurrentControlSet\Services\{0}" -f $name) 'Start'
        $override = Get-RegistryValue ("HKLM:\SYSTEM\CurrentControlSet\Services\{0}\StartOverride" -f $name) '0'
        if ($null -eq $start) {
            Write-Finding 'FIX' `
                ("The driver {0} is missing: Windows would not find its disk in Azure." -f $name) `
                'sfc.exe /scannow    (on Windows Server 2012 R2 and older: install the Hyper-V integration components)'
        }
        elseif ($start -notin @(0, 1)) {
            Write-Finding 'FIX' `
                (("The driver {0} does not load at the start (start type {1}): Windows would stop with " +
                        "INACCESSIBLE_BOOT_DEVICE.") -f $name, $start) `
                (("Set-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Services\{0}' -Name Start -Value " +
                        "0 -Type DWord") -f $name)
        }
        elseif ($null -ne $override -and $override -notin @(0, 1)) {
            Write-Finding 'LOOK' `
                (("The driver {0} loads at the start, but its StartOverride says {1}: if a drill ends in " +
                        "INACCESSIBLE_BOOT_DEVICE, remove that.") -f $name, $override) `
                (("Remove-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Services\{0}\StartOverride' " +
                        "-Name 0") -f $name)
        }
        else { Write-Finding 'OK' ("The driver {0} loads at the start." -f $name) }
        $file = Join-Path $env:SystemRoot ("System32\drivers\{0}.sys" -f $name)
        if ($null -ne $start -and -not (Test-Path -LiteralPath $file)) {
            Write-Finding 'FIX' `
                ("The file {0} is missing." -f $file) `
                'sfc.exe /scannow'
        }
    }
    # The network driver is loaded when its adapter appears, so on demand is right for it.
    $net = Get-RegistryValue 'HKLM:\SYSTEM\CurrentControlSet\Services\netvsc' 'Start'
    if ($null -eq $net) {
        Write-Finding 'FIX' `
            'The driver netvsc is missing: the recovered machine would have no network.' `
            'sfc.exe /scannow    (on Windows Server 2012 R2 and older: install the Hyper-V integration components)'
    }
    elseif ($net -eq 4) {
        Write-Finding 'FIX' `
            'The driver netvsc is disabled: the recovered machine would have no network.' `
            "Set-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Services\netvsc' -Name Start -Value 3 -Type DWord"
    }
    else { Write-Finding 'OK' 'The driver netvsc is there.' }
    if ($script:Generation -eq 'V1') {
        foreach ($name in @('intelide', 'atapi')) {
            $start = Get-RegistryValue ("HKLM:\SYSTEM\CurrentControlSet\Services\{0}" -f $name) 'Start'
            if ($start -notin @(0, 1)) {
                Write-Finding 'LOOK' `
                    ("Generation V1 starts from an IDE disk, and the driver {0} does not load at the start." -f $name) `
                    (("Set-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Services\{0}' -Name Start " +
                            "-Value 0 -Type DWord") -f $name)
            }
        }
    }
}

Test-Part 'Drivers of other makers' {
    $others = @()
    foreach ($driver in @(Get-CimInstance -ClassName Win32_SystemDriver |
                Where-Object { $_.State -eq 'Running' -and $_.PathName })) {
        $file = ($driver.PathName -replace '^\\\?\?\\', '') -replace '^\\?SystemRoot\\', ($env:SystemRoot + '\')
        if ($file -notmatch '^[A-Za-z]:\\') { $file = Join-Path $env:SystemRoot $file.TrimStart('\') }
        $info = Get-Item -LiteralPath $file -ErrorAction SilentlyContinue
        if ($info -and $info.VersionInfo.CompanyName -and $info.VersionInfo.CompanyName -notlike '*Microsoft*') {
            $others += ('{0} ({1})' -f $driver.Name, $info.VersionInfo.CompanyName.Trim())
        }
    }
    if ($others.Count -eq 0) { Write-Finding 'OK' 'No running driver is from another maker than Microsoft.' }
    else {
        Write-Finding 'LOOK' `
            (("{0} running drivers are from other makers. Those for this hardware or for VMware may hinder " +
                    "the start in Azure:") -f $others.Count) `
            ('fltmc.exe filters    (shows the file system filters; remove what you do not need through ' +
                'its own uninstaller)')
        foreach ($one in $others) { Write-Host ('          ' + $one) }
    }
    if (Get-Command -Name Get-NetAdapterBinding -ErrorAction SilentlyContinue) {
        $filters = @(Get-NetAdapterBinding -ErrorAction SilentlyContinue |
                Where-Object { $_.Enabled -and $_.ComponentID -and $_.ComponentID -notmatch '^(ms|vms_)' } |
                ForEach-Object { '{0} ({1})' -f $_.DisplayName, $_.ComponentID } | Select-Object -Unique)
        if ($filters.Count -gt 0) {
            Write-Finding 'LOOK' `
                (("Network filters of other makers: {0}. Microsoft advises removing packet sniffers and " +
                        "extra firewalls.") -f ($filters -join '; ')) `
                'Get-NetAdapterBinding | Format-Table Name, DisplayName, ComponentID, Enabled'
        }
    }
}

# ---- What it serves --------------------------------------------------------------------------------------------------

Test-Part 'IIS' {
    $web = Get-CimInstance -ClassName Win32_Service -Filter "Name='W3SVC'"
    if (-not $web) { return }
    if ($web.StartMode -eq 'Auto') { Write-Finding 'OK' 'IIS starts by itself.' }
    else { Write-Finding 'FIX' 'IIS does not start by itself.' 'Set-Service -Name W3SVC -StartupType Automatic' }
    if (-not $HealthUrl) {
        Write-Finding 'LOOK' `
            ('Coldsite asks a page such as /health that itself asks the database. Run this again with ' +
                '-HealthUrl to see it answer.') `
            '.\check-source.ps1 -HealthUrl http://localhost/health'
        return
    }
    [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12   # in this window only
    $how = @{ Uri = $HealthUrl; UseBasicParsing = $true; TimeoutSec = 10; MaximumRedirection = 0 }
    try { $answer = Invoke-WebRequest @how -ErrorAction SilentlyContinue }
    catch {
        Write-Finding 'FIX' `
            ("{0} does not answer as it should: {1}" -f $HealthUrl, $_.Exception.Message) `
            'Open the page in a browser on this server, and correct the site.'
        return
    }
    if ($answer -and $answer.StatusCode -eq 200) {
        Write-Finding 'OK' `
            ("{0} answers with status 200. Check that it says unhealthy when SQL Server is stopped." -f $HealthUrl)
    }
    elseif ($answer) {
        Write-Finding 'FIX' `
            ("{0} answers with status {1}. Coldsite follows no redirect and expects 200." -f
                    $HealthUrl, $answer.StatusCode) `
            'Except this page from the redirect in the site''s URL Rewrite rules.'
    }
    else { Write-Finding 'LOOK' ("{0} gave no answer that could be read." -f $HealthUrl) }
}

Test-Part 'SQL Server' {
    $engines = @(Get-CimInstance -ClassName Win32_Service -Filter "Name='MSSQLSERVER' OR Name LIKE 'MSSQL`$%'")
    foreach ($engine in $engines) {
        if ($engine.StartMode -eq 'Auto') { Write-Finding 'OK' ("SQL Server ({0}) starts by itself." -f $engine.Name) }
        else {
            Write-Finding 'FIX' `
                ("SQL Server ({0}) does not start by itself." -f $engine.Name) `
                ("Set-Service -Name '{0}' -StartupType Automatic" -f $engine.Name)
        }

        $account = "$($engine.StartName)"
        if ($account -and $account -notmatch '^(NT SERVICE|NT AUTHORITY|\.)\\' -and $account -ne 'LocalSystem') {
            Write-Finding 'LOOK' `
                (("{0} runs as {1}: where no domain controller can be reached, as in a drill, it may not " +
                        "start.") -f $engine.Name, $account) `
                ('SQLServerManager<version>.msc    (SQL Server Configuration Manager: choose NT ' +
                    'SERVICE\..., or give Azure a domain controller)')
        }
        $instance = 'MSSQLSERVER'
        if ($engine.Name -like 'MSSQL$*') { $instance = $engine.Name.Substring(6) }
        $id = Get-RegistryValue 'HKLM:\SOFTWARE\Microsoft\Microsoft SQL Server\Instance Names\SQL' $instance
        if ($id) {
            $mode = Get-RegistryValue "HKLM:\SOFTWARE\Microsoft\Microsoft SQL Server\$id\MSSQLServer" 'LoginMode'
            if ($mode -eq 2) {
                Write-Finding 'OK' `
                    ("{0} accepts SQL Server logins, as Coldsite's question needs." -f $engine.Name)
            }
            elseif ($null -ne $mode) {
                Write-Finding 'FIX' `
                    ("{0} accepts Windows accounts only; Coldsite asks with a SQL Server login." -f $engine.Name) `
                    ('Management Studio: server, Properties, Security, "SQL Server and Windows ' +
                        'Authentication mode"; then restart SQL Server')
            }
        }
        if ($engine.PathName -match '^"?([A-Za-z]):' -and $stays -contains $Matches[1].ToUpper()) {
            Write-Finding 'FIX' `
                ("{0} is installed on {1}:, which stays behind." -f $engine.Name, $Matches[1]) `
                'Replicate that disk, or install SQL Server on one that is replicated.'
        }
    }
    if ($engines.Count -gt 0) {
        $open = @(Get-NetTCPConnection -State Listen -LocalPort 1433 -ErrorAction SilentlyContinue)
        if ($open.Count -gt 0) {
            Write-Finding 'OK' `
                'Something listens on port 1433, where Coldsite asks unless the plan says otherwise.'
        }
        else {
            Write-Finding 'LOOK' `
                ('Nothing listens on port 1433: write the right port in the plan, or turn TCP/IP on. The ' +
                    'drill network of infra/ lets only 80, 443 and 1433 through.') `
                'SQLServerManager<version>.msc    (SQL Server Network Configuration, TCP/IP)'
        }
        Write-Finding 'LOOK' `
            'Check that all database and log files, system databases too, lie on disks that are replicated.' `
            'sqlcmd.exe -E -Q "SELECT physical_name FROM sys.master_files"'
    }
}

# ---- The end ---------------------------------------------------------------------------------------------------------

Write-Host ''
Write-Host ('{0} to fix, {1} to look at, {2} of those could not be checked.' -f $script:Fixes, $script:Looks, $script:Unchecked)
if ($script:Generation) { Write-Host ('For the plan: generation: {0}' -f $script:Generation) }
Write-Host 'A drill is the only proof that this server starts in Azure.'
if ($script:Fixes -gt 0) { exit 1 }
if ($script:Unchecked -gt 0) {
    Write-Host 'What could not be checked is not known to be right. Run this as administrator on the server itself.'
    exit 2
}
exit 0
