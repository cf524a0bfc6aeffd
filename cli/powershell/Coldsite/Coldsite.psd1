@{
    RootModule        = 'Coldsite.psm1'
    ModuleVersion     = '0.1.0'
    GUID              = '7e0b7a0e-58f4-4c1c-9f0c-5d7f6f2c1a10'
    Author            = 'The developers of Coldsite'
    Description       = 'Coldsite from PowerShell: status, readiness, failover, drill, failback, over its HTTP API.'
    PowerShellVersion = '5.1'
    FunctionsToExport = @('Connect-Coldsite', 'Get-ColdsitePlan', 'Get-ColdsiteReadiness', 'Get-ColdsiteRun', 'Start-ColdsiteFailover', 'Start-ColdsiteDrill', 'Start-ColdsiteFailback', 'Send-ColdsiteAnswer')
    CmdletsToExport   = @()
    VariablesToExport = @()
    AliasesToExport   = @()
}
