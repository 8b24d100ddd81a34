"""`python -m pywrangler`."""

from perdure._cli.pywrangler import main

if __name__ == "__main__":
    main()
