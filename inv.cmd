@echo off
rem Runs tasks: `inv TASK`, from any folder. The first call makes .venv (inv.py does that);
rem afterwards no Python is started but that of .venv.
setlocal
set "ROOT=%~dp0"
set "ROOT=%ROOT:~0,-1%"
set "VENV=%ROOT%\.venv"
set "MADE_IN="
rem What a shell's settings for other Pythons would change here (build/variables.py).
for %%V in (PYTHONPATH PYTHONHOME PYTHONPLATLIBDIR PYTHONEXECUTABLE PYTHONUSERBASE PYTHONSTARTUP PYTHONOPTIMIZE PYTHONINSPECT PYTHONWARNINGS PYTHONCASEOK PYTHONSAFEPATH PYTHONINTMAXSTRDIGITS INVOKE_RUNTIME_CONFIG) do set "%%V="
if not exist "%VENV%\Scripts\invoke.exe" goto setup
if not exist "%VENV%\made-in" goto setup
set /p MADE_IN=<"%VENV%\made-in"
if not "%MADE_IN%"=="%ROOT%" goto setup
fc /b "%ROOT%\requirements.txt" "%VENV%\requirements.txt" >nul 2>nul || goto setup
"%VENV%\Scripts\python.exe" "%ROOT%\build\program\start.py" %*
exit /b %ERRORLEVEL%

:setup
where /q py && goto launcher
where /q python || goto missing
python "%ROOT%\inv.py" %*
exit /b %ERRORLEVEL%

:launcher
py -3 "%ROOT%\inv.py" %*
exit /b %ERRORLEVEL%

:missing
echo error: Python 3.11 or newer is needed, and none is on PATH 1>&2
echo   try: winget install Python.Python.3.13 1>&2
exit /b 7
