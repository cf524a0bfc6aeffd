#Requires -Version 7.4
<#
.SYNOPSIS
What azd does before it deploys anything, once the settings are right: sign-in, and a look at where customers are now.
#>
[CmdletBinding()]
param()

$ErrorActionPreference = 'Stop'
& (Join-Path $PSScriptRoot 'sign-in.ps1')
# A site that exists must be found before anything is made; one that the templates make is not there yet.
& (Join-Path $PSScriptRoot 'routing.ps1') -MustExist:($env:COLDSITE_CREATE_SITE -ne 'true')
