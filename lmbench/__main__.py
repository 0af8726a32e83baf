from lmbench.cli.main import main

if __name__ == "__main__":  # a spawned worker process imports this file too
    main()
