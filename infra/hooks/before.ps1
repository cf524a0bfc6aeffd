<#
.SYNOPSIS
What azd does before it makes anything: sign-in, and a look at where customers are.
#>
[CmdletBinding()]
param()

$ErrorActionPreference = 'Stop'
& (Join-Path $PSScriptRoot 'sign-in.ps1')
& (Join-Path $PSScriptRoot 'routing.ps1')
