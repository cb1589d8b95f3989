"""The programs of the stack without Docker: rig.py starts one, served.py asks it from outside, growth.py reads its memory."""
