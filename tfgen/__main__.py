"""python -m tfgen: the same as the command tfgen."""

from tfgen.commands import main

if __name__ == '__main__':
    main.run()
