# Coldsite runs this by Run Command on the recovered SQL Server, once its writes are stopped (failback.final_sync): the
# tail of the log is restored at home, and home's database opens for writes.
# It may run twice. Its last line of output is one JSON line.
# SQL Server itself refuses a log that does not follow on what was restored before, so nothing can be missing in between.
# Run Command runs as NT AUTHORITY\SYSTEM: the machine's account needs the role dbcreator and sysadmin at home.
# Never tried on a real server; try it in a rehearsal first. The statements are explained in docs/failback.md.
param([ValidateSet('sync')] [string] $Action = 'sync')

$ErrorActionPreference = 'Stop'
$Database = 'Orders'
$HomeServer = '10.1.0.5'
$Tail = "D:\coldsite\$Database-tail.trn"  # the share of stop-writes.ps1, as home's SQL Server sees it

function Invoke-Sql([string] $Text) {
    $connection = New-Object System.Data.SqlClient.SqlConnection "Server=$HomeServer;Database=master;Integrated Security=true"
    $connection.Open()
    try {
        $command = $connection.CreateCommand()
        $command.CommandText = $Text
        $command.CommandTimeout = 0
        $command.ExecuteScalar()
    }
    finally {
        $connection.Dispose()
        [System.Data.SqlClient.SqlConnection]::ClearAllPools()
    }
}

try {
    $open = Invoke-Sql "SELECT COUNT(*) FROM sys.databases WHERE name = N'$Database' AND state = 0 AND is_in_standby = 0"
    if ($open -eq 0) {
        Invoke-Sql "IF DATABASEPROPERTYEX(N'$Database', 'IsInStandBy') = 1 ALTER DATABASE [$Database] SET SINGLE_USER WITH ROLLBACK IMMEDIATE" | Out-Null
        Invoke-Sql "RESTORE LOG [$Database] FROM DISK = N'$Tail' WITH NORECOVERY, CHECKSUM" | Out-Null
        Invoke-Sql "RESTORE DATABASE [$Database] WITH RECOVERY" | Out-Null
        Invoke-Sql "ALTER DATABASE [$Database] SET MULTI_USER" | Out-Null
    }
    @{ done = $true } | ConvertTo-Json -Compress
}
catch {
    @{ done = $false; message = "$_" } | ConvertTo-Json -Compress
}
