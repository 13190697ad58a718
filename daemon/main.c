#include "daemon/corod.h"

int main(int argc, char **argv)
{
    return corod_main(argc, argv);
}
