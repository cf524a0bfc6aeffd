#Requires -Version 7.4
<#
.SYNOPSIS
Runs before azd deploys anything, after the check of the settings: sign-in, then the current state of the endpoints.
#>
[CmdletBinding()]
param()

$ErrorActionPreference = 'Stop'
& (Join-Path $PSScriptRoot 'sign-in.ps1')
# An existing site must be found before anything is created; with createSite it does not exist yet.
& (Join-Path $PSScriptRoot 'routing.ps1') -MustExist:($env:COLDSITE_CREATE_SITE -ne 'true')
