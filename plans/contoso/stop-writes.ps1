# Coldsite runs this by Run Command on the recovered SQL Server, when customers move home (failback.stop_writes).
#   -Action stop     takes the tail of the log, which leaves the database RESTORING: SQL Server then refuses every write
#   -Action resume   brings the database back as it was; nothing is lost
# It may run twice. Its last line of output is one JSON line: done, and the last commit of the database.
# Run Command runs as NT AUTHORITY\SYSTEM, which needs the role sysadmin here and write access to $Share.
# The database must use the recovery model FULL, and no other tool may take log backups of it meanwhile.
# Never tried on a real server; try it in a drill first. The statements are explained in docs/failback.md.
param([ValidateSet('stop', 'resume')] [string] $Action = 'stop')

$ErrorActionPreference = 'Stop'
$Database = 'Orders'
$Newest = 'SELECT MAX(PlacedAtUtc) FROM dbo.Orders'
$Share = '\\10.1.0.5\coldsite'          # reachable from both sites
$Tail = "$Share\$Database-tail.trn"
$Report = "$Share\$Database-stop.json"  # what the stop reported, for a second run

function Invoke-Sql([string] $Text, [string] $On = 'master') {
    $connection = New-Object System.Data.SqlClient.SqlConnection "Server=localhost;Database=$On;Integrated Security=true"
    $connection.Open()
    try {
        $command = $connection.CreateCommand()
        $command.CommandText = $Text
        $command.CommandTimeout = 0
        $command.ExecuteScalar()
    }
    finally {
        $connection.Dispose()
        [System.Data.SqlClient.SqlConnection]::ClearAllPools()  # the single user must be gone before the next statement
    }
}

try {
    $state = Invoke-Sql "SELECT state_desc FROM sys.databases WHERE name = N'$Database'"
    if ($Action -eq 'stop' -and $state -eq 'ONLINE') {
        Invoke-Sql "ALTER DATABASE [$Database] SET SINGLE_USER WITH ROLLBACK IMMEDIATE" | Out-Null
        $last = ([datetime](Invoke-Sql $Newest $Database)).ToString('yyyy-MM-ddTHH:mm:ss.fffffff')
        $answer = @{ done = $true; newest_commits = @{ $Database = $last } } | ConvertTo-Json -Compress
        Set-Content -Path $Report -Value $answer
        Invoke-Sql "BACKUP LOG [$Database] TO DISK = N'$Tail' WITH NORECOVERY, CHECKSUM, INIT" | Out-Null
        $answer
    }
    elseif ($Action -eq 'stop' -and $state -eq 'RESTORING') {
        Get-Content -Path $Report
    }
    elseif ($Action -eq 'resume') {
        if ($state -eq 'RESTORING') { Invoke-Sql "RESTORE DATABASE [$Database] WITH RECOVERY" | Out-Null }
        Invoke-Sql "ALTER DATABASE [$Database] SET MULTI_USER" | Out-Null
        @{ done = $true } | ConvertTo-Json -Compress
    }
    else {
        @{ done = $false; message = "$Database is $state" } | ConvertTo-Json -Compress
    }
}
catch {
    @{ done = $false; message = "$_" } | ConvertTo-Json -Compress
}
