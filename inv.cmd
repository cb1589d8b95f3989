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

rem Windows puts a python.exe on PATH that only opens its Store: what can't say that it is new enough is not taken.
rem `call`, because it may be a batch file (pyenv-win), which would not come back otherwise.
:setup
set "NEW=import sys; sys.exit(sys.version_info < (3, 11))"
for %%P in (python python3 "py -3") do call %%~P -c "%NEW%" >nul 2>nul && set "PYTHON=%%~P" && goto run
goto missing

:run
%PYTHON% "%ROOT%\inv.py" %*
exit /b %ERRORLEVEL%

:missing
echo error: Python 3.11 or newer is needed, and none is on PATH 1>&2
echo   try: winget install Python.Python.3.13 1>&2
exit /b 7
