@echo off
rem The acceptance cases against a running system: scripts\check.bat [--url URL] [--email ADDRESS]
"%~dp0..\.venv\Scripts\yellowbooks.exe" check %*
exit /b %ERRORLEVEL%
