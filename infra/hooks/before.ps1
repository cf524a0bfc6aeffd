#Requires -Version 7.4
<#
.SYNOPSIS
What azd does before it deploys anything, once the settings are right: sign-in, and a look at where customers are now.
#>
[CmdletBinding()]
param()

$ErrorActionPreference = 'Stop'
& (Join-Path $PSScriptRoot 'sign-in.ps1')
& (Join-Path $PSScriptRoot 'routing.ps1')
